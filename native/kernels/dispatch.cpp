#include "kernels/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu.h"
#include "kernels/isa.h"

namespace annex {
namespace {

constexpr size_t kMostTables = 5;

struct Choice {
  const Kernels* tables[kMostTables] = {};
  size_t count = 0;
  const Kernels* active = nullptr;
  const char* note = "";

  Choice() {
    [[maybe_unused]] const CpuFeatures cpu = cpu_features();
#if defined(__wasm__)
    add(wasm128_table());
#else
    add(scalar_table());
#endif
#if defined(__x86_64__) || defined(_M_X64)
    if (cpu.avx2) add(avx2_table());
    if (cpu.avx512) add(avx512_table());
    if (cpu.avx512vnni) add(avx512vnni_table());
    if (cpu.avx512amx) add(avx512amx_table());
#elif defined(__aarch64__) || defined(_M_ARM64)
    add(neon_table());
    if (const Kernels* table = cpu.dotprod ? neondot_table() : nullptr) add(*table);
#endif
    active = tables[count - 1];
#if !defined(__wasm__)
    if (const char* name = getenv("ANNEX_ISA")) {
      if (*name != '\0') force(name);
    }
#endif
  }

  void add(const Kernels& table) { tables[count++] = &table; }

  void force(const char* name) {
    for (size_t i = 0; i < count; i++) {
      if (strcmp(tables[i]->name, name) == 0) {
        active = tables[i];
        return;
      }
    }
    static constexpr const char* kKnown[] = {"scalar",    "avx2", "avx512",  "avx512vnni",
                                             "avx512amx", "neon", "neondot", "wasm128"};
    note =
        "ANNEX_ISA names no instruction set; known are scalar, avx2, avx512, avx512vnni, avx512amx, neon, neondot, "
        "wasm128";
    for (const char* known : kKnown) {
      if (strcmp(known, name) == 0) note = "ANNEX_ISA names an instruction set that this processor cannot run";
    }
  }
};

const Choice& choice() {
  static const Choice chosen;
  return chosen;
}

}  // namespace

const Kernels& kernels() { return *choice().active; }

const char* kernels_note() { return choice().note; }

size_t available_kernels(const Kernels* const** tables) {
  *tables = choice().tables;
  return choice().count;
}

}  // namespace annex
