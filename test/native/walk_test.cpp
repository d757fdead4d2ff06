// What walks do between distances (kernels/walk.h), by every kernel table that this processor runs, against plain sets
// and sorted arrays.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "index/shortlist.h"
#include "kernels/dispatch.h"
#include "kernels_reference.h"
#include "testing.h"

using annex::Candidates;
using annex::Kernels;
using reference::check;
using reference::Guarded;
using testing::Random;

namespace {

// Lists of every length, full and not, in four bytes and in three, with slots that are marked, seen before, or twice in
// the list; a bitmap and a table, which is full up to the half that may be, tell what has been seen.
void test_unseen(const Kernels& k, bool narrow) {
  Random random(3);
  for (const size_t room : {1, 4, 15, 16, 17, 32, 33, 64, 100}) {
    const size_t nodes = 1 + random.below(400);
    std::vector<uint64_t> seen(nodes / 64 + 1);
    uint32_t shift = 31;
    while ((size_t{1} << (32 - shift)) < 2 * nodes) shift--;
    std::vector<uint32_t> places(size_t{1} << (32 - shift), annex::kNoLink);
    const annex::SlotTable table{places.data(), shift};
    std::set<uint32_t> reference;
    const size_t bytes = annex::LinkList{nullptr, room, narrow}.bytes();
    Guarded list(bytes), fresh(4 * (room + 1));
    std::vector<uint32_t> links(room);
    for (int round = 0; round < 40; round++) {
      const size_t n = round % 4 == 0 ? room : random.below(room + 1);
      for (size_t i = 0; i < room; i++) {
        links[i] = static_cast<uint32_t>(random.below(nodes)) | (random.below(5) == 0 ? annex::kTreeBit : 0);
      }
      // Behind the end stands what was there before.
      if (n < room) links[n] = annex::kNoLink;
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < n; i++) {
        const uint32_t slot = links[i] & annex::kSlotMask;
        if (reference.insert(slot).second) expected.push_back(slot);
      }
      const annex::LinkList given{list.as<uint8_t>(), room, narrow};
      for (size_t i = 0; i < room; i++) {
        if (narrow) annex::pack_link(links[i], list.as<uint8_t>() + annex::kNarrowBytes * i);
        if (!narrow) list.as<uint32_t>()[i] = links[i];
      }
      const size_t count = k.walk.take_unseen(seen.data(), given, fresh.as<uint32_t>());
      check(count == expected.size() && std::equal(expected.begin(), expected.end(), fresh.as<uint32_t>()), k,
            "unseen of room " + std::to_string(room));
      const size_t listed = k.walk.take_unlisted(table, given, fresh.as<uint32_t>());
      check(listed == expected.size() && std::equal(expected.begin(), expected.end(), fresh.as<uint32_t>()), k,
            "unlisted of room " + std::to_string(room));
      std::set<uint32_t> in_table(places.begin(), places.end());
      in_table.erase(annex::kNoLink);
      check(in_table == reference, k, "table of room " + std::to_string(room));
      size_t bits = 0;
      for (const uint64_t word : seen) bits += static_cast<size_t>(__builtin_popcountll(word));
      check(bits == reference.size(), k, "bits of room " + std::to_string(room));
      if (round % 8 == 7) {
        std::fill(seen.begin(), seen.end(), uint64_t{0});
        std::fill(places.begin(), places.end(), annex::kNoLink);
        reference.clear();
      }
    }
  }
}

// Slots about the number of nodes, marked and not, and places without a link.
void test_survey(const Kernels& k) {
  Random random(7);
  for (size_t n = 0; n < 150; n++) {
    for (const uint32_t nodes : {0u, 1u, 1000u, annex::kSlotMask - 16}) {
      Guarded list(4 * n);
      for (const bool stray : {false, true}) {
        bool astray = false;
        size_t marks = 0;
        const size_t place = random.below(n + 1);
        for (size_t i = 0; i < n; i++) {
          uint32_t link = random.below(4) == 0 || nodes == 0
                              ? annex::kNoLink
                              : nodes - 1 - static_cast<uint32_t>(random.below(nodes) % 20);
          if (stray && i == place) link = random.below(2) == 0 ? nodes : annex::kSlotMask;
          if (random.below(4) == 0) link |= annex::kTreeBit;
          list.as<uint32_t>()[i] = link;
          if (link == annex::kNoLink) continue;
          astray = astray || (link & annex::kSlotMask) >= nodes;
          marks += link >> 31;
        }
        const annex::LinkSurvey survey = k.walk.survey_links(list.as<uint32_t>(), n, nodes);
        check(survey.astray == astray && survey.marks == marks, k,
              "survey of " + std::to_string(n) + " places, nodes " + std::to_string(nodes));
      }
    }
  }
}

// Lists of every length, full and not, and what stands behind their end.
void test_count_links(const Kernels& k) {
  Random random(9);
  for (size_t room = 0; room < 70; room++) {
    for (size_t n = 0; n <= room; n++) {
      Guarded list(4 * room);
      auto* links = list.as<uint32_t>();
      for (size_t i = 0; i < room; i++) links[i] = static_cast<uint32_t>(random.below(1000)) | annex::kTreeBit;
      if (n < room) links[n] = annex::kNoLink;
      check(k.walk.count_links(links, room) == n, k, "links of room " + std::to_string(room));
    }
  }
}

// Links of three bytes: any slots, marks, and none; and as they were packed.
void test_unpack_links(const Kernels& k) {
  Random random(10);
  for (size_t n = 0; n < 150; n++) {
    Guarded packed(annex::kNarrowBytes * n), list(4 * n);
    std::vector<uint32_t> expected(n);
    for (size_t i = 0; i < n; i++) {
      const auto below = static_cast<uint32_t>(random.below(random.below(2) == 0 ? 50 : annex::kNarrowNodes));
      const uint32_t slot = random.below(2) == 0 ? below : annex::kNarrowNodes - 1 - below;
      const uint32_t link = slot | (random.below(3) == 0 ? annex::kTreeBit : 0);
      expected[i] = random.below(5) == 0 ? annex::kNoLink : link;
      uint8_t* at = packed.as<uint8_t>() + annex::kNarrowBytes * i;
      annex::pack_link(expected[i], at);
      check(annex::unpack_link(at) == expected[i], k, "a packed link");
    }
    k.walk.unpack_links(packed.as<uint8_t>(), n, list.as<uint32_t>());
    check(std::equal(expected.begin(), expected.end(), list.as<uint32_t>()), k, "unpacked of " + std::to_string(n));
  }
}

float distance(Random& random) {
  switch (random.below(12)) {
    case 0: return std::numeric_limits<float>::quiet_NaN();
    case 1: return std::numeric_limits<float>::infinity();
    case 2: return -std::numeric_limits<float>::infinity();
    case 3: return random.below(2) == 0 ? 0.0f : -0.0f;
    case 4: return static_cast<float>(random.below(3));  // equal ones: slots decide
    default: return random.normal();
  }
}

// Equal distances, equal keys, none at all.
void test_keys(const Kernels& k) {
  Random random(11);
  for (size_t n = 0; n < 200; n += 1 + n / 20) {
    Guarded distances(4 * n), slots(4 * n), sorted(8 * n);
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
      distances.as<float>()[i] = distance(random);
      slots.as<uint32_t>()[i] = static_cast<uint32_t>(random.below(annex::kSlotMask));
      sorted.as<uint64_t>()[i] = annex::pool_key(distances.as<float>()[i], slots.as<uint32_t>()[i]);
      least = std::min(least, sorted.as<uint64_t>()[i]);
    }
    check(k.walk.nearest_key(distances.as<float>(), slots.as<uint32_t>(), n) == least, k,
          "nearest of " + std::to_string(n));
    auto* keys = sorted.as<uint64_t>();
    std::sort(keys, keys + n);
    for (size_t i = 0; i + 1 < n; i += 5) keys[i + 1] = keys[i];
    for (size_t i = 0; i <= n; i++) {
      for (const uint64_t key : {i < n ? keys[i] : UINT64_MAX, i < n ? keys[i] - 1 : 0}) {
        const auto within = static_cast<size_t>(std::upper_bound(keys, keys + n, key) - keys);
        check(k.walk.count_within(keys, n, key) == within, k, "keys within, of " + std::to_string(n));
      }
    }
  }
}

// Rounds of a walk: expand some, add some, drop some from the end, under a limit or none.
void test_candidates(const Kernels& k) {
  Random random(5);
  for (const size_t most : {1, 2, 7, 8, 9, 16, 17, 31, 40, 64, 100, 127, 128, 129, 200}) {
    for (int walk = 0; walk < 12; walk++) {
      Guarded room(8 * annex::candidates_room(most));
      std::memset(room.data(), static_cast<int>(random.below(256)), room.size());  // what a walk before left
      Candidates pool{room.as<uint64_t>(), 0, most, UINT64_MAX, 0};
      std::vector<uint64_t> expected;
      uint32_t slot = 0;
      for (int round = 0; round < 30; round++) {
        const size_t n = random.below(round % 3 == 0 ? 70 : 12);
        Guarded distances(4 * n), slots(4 * n);
        std::vector<uint32_t> given, taken;
        for (size_t i = 0; i < n; i++) {
          distances.as<float>()[i] = distance(random);
          slots.as<uint32_t>()[i] = slot = (slot + 1 + static_cast<uint32_t>(random.below(9))) & annex::kSlotMask;
        }
        given.assign(slots.as<uint32_t>(), slots.as<uint32_t>() + n);
        const uint64_t limit = expected.size() == most ? std::min(pool.limit, expected.back()) : pool.limit;
        for (size_t i = 0; i < n; i++) {
          const uint64_t key = annex::pool_key(distances.as<float>()[i], given[i]);
          if (key > limit) continue;
          taken.push_back(given[i]);
          expected.insert(std::lower_bound(expected.begin(), expected.end(), key), key);
          if (expected.size() > most) expected.pop_back();
        }
        const size_t count = k.walk.add_candidates(&pool, distances.as<float>(), slots.as<uint32_t>(), n);
        const std::string what = "candidates, most " + std::to_string(most) + ", round " + std::to_string(round);
        check(pool.size == expected.size() && std::equal(expected.begin(), expected.end(), pool.keys), k, what);
        check(count == taken.size() && std::equal(taken.begin(), taken.end(), slots.as<uint32_t>()), k,
              what + ": taken");
        const auto first = std::find_if(expected.begin(), expected.end(), [](uint64_t key) { return (key & 1) == 0; });
        check(pool.next == static_cast<size_t>(first - expected.begin()), k, what + ": next");
        for (size_t times = random.below(4); times > 0 && pool.next < pool.size; times--) {
          expected[pool.next] = pool.keys[pool.next] |= 1;
          while (pool.next < pool.size && (pool.keys[pool.next] & 1) != 0) pool.next++;
        }
        if (random.below(3) == 0 && !expected.empty()) {
          expected.resize(1 + random.below(expected.size()));
          pool.size = expected.size();
          pool.next = std::min(pool.next, pool.size);
        }
        pool.limit = random.below(2) == 0 || expected.empty() ? UINT64_MAX : expected[random.below(expected.size())];
      }
    }
  }
}

// The least keys of all that a shortlist is offered, some at a time.
void check_shortlist(Random& random, size_t most, const std::vector<float>& distances, const std::string& what) {
  const size_t total = distances.size();
  std::vector<uint32_t> slots(total);
  std::vector<uint64_t> expected(total), keys(annex::Shortlist::room(most));
  for (size_t i = 0; i < total; i++) {
    slots[i] = static_cast<uint32_t>(i);
    expected[i] = annex::pool_key(distances[i], slots[i]);
  }
  annex::Shortlist list(keys.data(), most);
  for (size_t i = 0; i < total;) {
    const size_t n = std::min(total - i, 1 + random.below(20));
    list.offer(distances.data() + i, slots.data() + i, n);
    i += n;
  }
  std::sort(expected.begin(), expected.end());
  expected.resize(std::min(most, total));
  keys.resize(list.finish());
  std::sort(keys.begin(), keys.end());
  testing::check(keys == expected, what.c_str(), __FILE__, __LINE__);
}

// Many alike, ascending and descending ones, and no numbers.
void test_shortlist() {
  Random random(6);
  for (const size_t most : {1, 2, 7, 10, 64, 300}) {
    for (int order = 0; order < 5; order++) {
      std::vector<float> distances(random.below(40 * most));
      for (size_t i = 0; i < distances.size(); i++) {
        const float at = static_cast<float>(i);
        const float kinds[] = {random.uniform(), static_cast<float>(random.below(3)), at, -at, NAN};
        distances[i] = order == 4 && random.below(2) == 0 ? random.uniform() : kinds[order];
      }
      check_shortlist(random, most, distances,
                      "shortlist of " + std::to_string(most) + ", order " + std::to_string(order));
    }
  }
  // As many as make it drop some once: no later ones make good what it drops then.
  for (int round = 0; round < 2000; round++) {
    std::vector<float> distances(annex::Shortlist::room(64));
    for (float& distance : distances) distance = random.uniform();
    check_shortlist(random, 64, distances, "shortlist that is full");
  }
}

}  // namespace

int main() {
  test_shortlist();
  const Kernels* const* available;
  const size_t count = annex::available_kernels(&available);
  for (size_t i = 0; i < count; i++) {
    for (const bool narrow : {false, true}) test_unseen(*available[i], narrow);
    test_survey(*available[i]);
    test_count_links(*available[i]);
    test_unpack_links(*available[i]);
    test_keys(*available[i]);
    test_candidates(*available[i]);
  }
  return testing::finish("walk_test");
}
