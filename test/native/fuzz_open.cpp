// Opens files that may be anything. The input is either the bytes of a file, or a list of changes to a good one whose
// checksums are then made right again, so that the changes reach what lies behind them. Whatever opens is searched,
// changed and saved. Built with -fsanitize=fuzzer this is a libFuzzer target.
#include <algorithm>
#include <cmath>
#include <string>

#include "file_seeds.h"
#include "fuzz_main.h"

using testing::Bytes;
using testing::Parts;

namespace {

const std::vector<testing::Seed>& all_seeds() {
  static const std::vector<testing::Seed> made = testing::seeds();
  return made;
}

/// Reads values off the input; zeros behind its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool more() const { return at_ < size_; }
  uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  uint64_t word(int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(byte()) << (8 * i);
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

void poke_bits(Bytes& content, size_t at, uint64_t value, size_t width) {
  for (size_t i = 0; i < width && at + i < content.size(); ++i)
    content[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

void change(Parts& parts, Input& input) {
  static const uint64_t kEdges[] = {0,
                                    1,
                                    2,
                                    15,
                                    127,
                                    255,
                                    0x7FFF,
                                    UINT32_MAX,
                                    0x7FFFFFFF,
                                    0x80000000u,
                                    UINT64_MAX,
                                    uint64_t{1} << 63,
                                    uint64_t{1} << 53,
                                    0x7FC00000,
                                    0x7F800000,
                                    0xFF800000,
                                    0x7FF8000000000000u,
                                    0x3FF0000000000000u,
                                    0x4330000000000000u,
                                    0x7FEFFFFFFFFFFFFFu};
  if (parts.sections.empty()) return;
  const uint8_t what = input.byte();
  Parts::Section& section = parts.sections[input.byte() % parts.sections.size()];
  Bytes& content = section.content;
  const size_t at = content.empty() ? 0 : input.word(3) % content.size();
  switch (what % 16) {
    case 0: poke_bits(content, at, input.byte(), 1); break;
    case 1: poke_bits(content, at & ~size_t{3}, kEdges[input.byte() % std::size(kEdges)], 4); break;
    case 2: poke_bits(content, at & ~size_t{7}, kEdges[input.byte() % std::size(kEdges)], 8); break;
    case 3: poke_bits(content, at & ~size_t{3}, input.word(4), 4); break;
    case 4: poke_bits(content, at & ~size_t{7}, input.word(8), 8); break;
    case 5: poke_bits(content, at & ~size_t{3}, input.byte() % 64, 4); break;  // a small number: a slot, a list
    case 6: {
      const double value = static_cast<double>(input.byte()) - 3;
      uint64_t bits;
      std::memcpy(&bits, &value, 8);
      poke_bits(content, at & ~size_t{7}, bits, 8);  // an option
      break;
    }
    case 7: content.resize(at); break;
    case 8: content.resize(content.size() + input.byte() % 80, input.byte()); break;
    case 9: std::swap(content, parts.sections[input.byte() % parts.sections.size()].content); break;
    case 10: section.version = static_cast<uint16_t>(input.byte() % 3); break;
    case 11: section.flags = static_cast<uint16_t>(input.byte() % 4); break;
    case 12: section.tag = parts.sections[input.byte() % parts.sections.size()].tag; break;
    case 13: parts.sections.erase(parts.sections.begin() + (&section - parts.sections.data())); break;
    case 14: {
      // A section of another file, in the place of its own.
      const auto& seeds = all_seeds();
      Parts other(seeds[input.byte() % seeds.size()].bytes);
      for (Parts::Section& theirs : other.sections) {
        if (theirs.tag == section.tag) std::swap(section.content, theirs.content);
      }
      break;
    }
    default:
      poke_bits(content, at, static_cast<uint64_t>(content.empty() ? 0 : content[at]) ^ (1u << (input.byte() % 8)), 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const uint8_t mode = input.byte();
  const int32_t flags = (mode & 64) != 0 ? ANNEX_OPEN_LAZY : 0;
  if (mode % 8 == 0) {
    if (size > 1) (void)testing::open_and_use(data + 1, size - 1, flags);
    return 0;
  }
  const auto& seeds = all_seeds();
  Parts parts(seeds[input.byte() % seeds.size()].bytes);
  for (int changes = 0; input.more() && changes < 8; ++changes) change(parts, input);
  Bytes file = parts.file();
  if ((mode & 128) != 0 && !file.empty()) file[input.word(3) % file.size()] ^= static_cast<uint8_t>(1 + input.byte());
  (void)testing::open_and_use(file.data(), file.size(), flags);
  return 0;
}

#if !defined(ANNEX_LIBFUZZER)
int main(int argc, char** argv) {
  return testing::fuzz_main("fuzz_open", argc, argv, 20000, [](testing::Random& random, Bytes& input) {
    input.resize(2 + random.below(60));
    for (uint8_t& byte : input) byte = static_cast<uint8_t>(random.next());
    if (input[0] % 8 != 0) return;
    // Bytes of a file, some of them changed.
    const auto& seeds = all_seeds();
    const Bytes& file = seeds[random.below(seeds.size())].bytes;
    input.assign(1, input[0]);
    input.insert(input.end(), file.begin(), file.end());
    input[1 + random.below(file.size())] = static_cast<uint8_t>(random.next());
    if (random.below(4) == 0) input.resize(1 + random.below(file.size()));
  });
}
#endif
