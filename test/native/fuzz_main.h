// The plain main of a fuzzer, for builds without libFuzzer:
//   fuzz_… [runs [seed]] [FILE…]
// runs random inputs, then those of the files: one that ends in .corpus has an input a line, in hexadecimal digits.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace testing {

using Input = std::vector<uint8_t>;

inline std::vector<Input> inputs_of(const std::string& path) {
  Input bytes;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!CHECK(file != nullptr)) return {};
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) bytes.push_back(static_cast<uint8_t>(c));
  std::fclose(file);
  if (path.size() < 7 || path.compare(path.size() - 7, 7, ".corpus") != 0) return {bytes};
  std::vector<Input> inputs;
  Input input;
  std::string digits;
  for (const uint8_t c : bytes) {
    if (c == '\n') {
      inputs.push_back(input);
      input.clear();
      continue;
    }
    digits.push_back(static_cast<char>(c));
    if (digits.size() < 2) continue;
    input.push_back(static_cast<uint8_t>(std::strtoul(digits.c_str(), nullptr, 16)));
    digits.clear();
  }
  return inputs;
}

/// `make` fills a random input.
template <class Make>
int fuzz_main(const char* name, int argc, char** argv, unsigned long long runs, Make&& make) {
  unsigned long long numbers[] = {runs, 1};
  size_t given = 0, kept = 0;
  int at = 1;
  for (; at < argc && given < 2; ++at) {
    char* end = nullptr;
    const unsigned long long number = std::strtoull(argv[at], &end, 10);
    if (*end != '\0') break;
    numbers[given++] = number;
  }
  if (given == 0 && at < argc) numbers[0] = 0;
  Random random(numbers[1]);
  Input input;
  for (unsigned long long run = 0; run < numbers[0]; ++run) {
    make(random, input);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  for (; at < argc; ++at) {
    for (const Input& one : inputs_of(argv[at])) {
      LLVMFuzzerTestOneInput(one.data(), one.size());
      ++kept;
    }
  }
  std::printf("%s: %llu random inputs, %zu of files\n", name, numbers[0], kept);
  return finish(name);
}

}  // namespace testing
