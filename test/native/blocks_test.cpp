// Items in blocks (base/blocks.h): what is kept when they grow, in whatever pieces, and how much room there is.
#include "base/blocks.h"

#include <bit>
#include <vector>

#include "testing.h"

using annex::Blocks;
using testing::Random;

namespace {

constexpr size_t kStrides[] = {1, 4, 129, 4096, 200000};

// Every byte of an item says whose it is.
void fill(Blocks& blocks, size_t from, size_t to) {
  for (size_t i = from; i < to; ++i) std::memset(blocks.item(i), static_cast<int>(i % 251), blocks.stride());
}
bool holds(const Blocks& blocks, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* item = blocks.item(i);
    for (size_t b = 0; b < blocks.stride(); ++b) {
      if (item[b] != i % 251) return false;
    }
  }
  return true;
}

void test_growth(size_t stride) {
  Random random(stride);
  const size_t most = 3 * Blocks(stride).block_items() + 7;
  Blocks pieces(stride);
  size_t count = 0;
  while (count < most) {
    const size_t more = std::min(most - count, 1 + random.below(most / 5));
    CHECK(pieces.reserve(count + more) && pieces.capacity() >= count + more);
    fill(pieces, count, count + more);
    count += more;
  }
  CHECK(holds(pieces, most));
  size_t items = 0;
  pieces.each(most, [&](const void*, size_t bytes) { items += bytes / stride; });
  CHECK(items == most);
  Blocks other(stride);
  other.swap(pieces);
  CHECK(holds(other, most) && pieces.capacity() == 0 && pieces.reserve(1));
}

// The last block has at most a quarter more than it needs, or sixteen; and that depends on the count alone.
void test_room(size_t stride) {
  const size_t whole = Blocks(stride).block_items();
  for (const size_t count : {size_t{1}, whole / 3, whole - 1, whole, whole + 1, 2 * whole, 2 * whole + whole / 2 + 1}) {
    Blocks at_once(stride), pieces(stride);
    CHECK(at_once.reserve(count));
    for (size_t n = 1; n <= count; n += std::max<size_t>(1, count / 9)) CHECK(pieces.reserve(n));
    CHECK(pieces.reserve(count));
    CHECK(pieces.capacity() == at_once.capacity());
    const size_t last = (count - 1) % whole + 1, room = at_once.capacity() - (count - last);
    CHECK(at_once.capacity() >= count && room <= whole && room < last + std::max(std::bit_floor(last) / 4, size_t{16}));
  }
}

void test_truncate(size_t stride) {
  const size_t whole = Blocks(stride).block_items();
  Blocks blocks(stride);
  CHECK(blocks.reserve(2 * whole + 1));
  fill(blocks, 0, 2 * whole + 1);
  const size_t room = blocks.capacity();
  blocks.truncate(2 * whole + 1);
  CHECK(blocks.capacity() == room && blocks.blocks() == 3);
  blocks.truncate(2 * whole);
  CHECK(blocks.capacity() == 2 * whole && blocks.blocks() == 2);
  CHECK(blocks.reserve(2 * whole + 1));
  fill(blocks, 2 * whole, 2 * whole + 1);
  CHECK(holds(blocks, 2 * whole + 1));
  blocks.truncate(0);
  CHECK(blocks.capacity() == 0 && blocks.blocks() == 0);
}

// Whole blocks stay where they are; what is behind them is copied, and grows like any other.
void test_borrow(size_t stride) {
  const size_t whole = Blocks(stride).block_items();
  for (const size_t count : {size_t{1}, whole, whole + 1, 2 * whole + whole / 2}) {
    std::vector<uint8_t> items(count * stride);
    for (size_t i = 0; i < count; ++i) std::memset(items.data() + i * stride, static_cast<int>(i % 251), stride);
    Blocks blocks(stride);
    CHECK(blocks.borrow(items.data(), count) && holds(blocks, count));
    CHECK((blocks.item(0) == items.data()) == (count >= whole));
    CHECK(blocks.reserve(count + whole));
    fill(blocks, count, count + whole);
    CHECK(holds(blocks, count + whole));
  }
}

}  // namespace

int main() {
  for (const size_t stride : kStrides) {
    test_growth(stride);
    test_room(stride);
    test_truncate(stride);
    test_borrow(stride);
  }
  return testing::finish("blocks_test");
}
