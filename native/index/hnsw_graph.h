// The links of an HNSW graph (Malkov, Yashunin: "Efficient and robust approximate nearest neighbor search using
// hierarchical navigable small world graphs", 2018).
//
// A list is an array of M (2 M in the bottom layer) slots; the first kNoLink ends it. The bottom list of every slot
// lies in one array, in order of slots; those above lie in another, a node's together, lowest layer first.
//
// Where rows are narrow the links of the bottom layer are too: three bytes each, as long as slots fit in
// (kNarrowNodes). Not where rows are long anyway: walks from code to code take up to 9 % longer for it (HACKING.md).
//
// The bottom layer is connected by construction: its lists hold the edges of a spanning tree, in both directions and
// marked with kTreeBit, which no pruning drops. So every node can be reached from every other.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/blocks.h"
#include "base/sections.h"
#include "index/id_map.h"
#include "kernels/dispatch.h"

namespace annex {

inline constexpr size_t kMaxNodes = (size_t{1} << 31) - 16;  // slots leave room for the mark, and some are marks
inline constexpr int kMaxLevel = 15;
inline constexpr size_t kMinM = 2, kMaxM = 512;

/// Room for the links of any list.
using LinkRoom = uint32_t[2 * kMaxM];

/// The links of a list, without what stands behind their end; returns how many.
inline size_t read_links(const LinkList& list, LinkRoom& links) {
  if (list.narrow) {
    kernels().walk.unpack_links(list.links, list.room, links);
  } else {
    std::copy_n(list.words(), list.room, links);
  }
  return kernels().walk.count_links(links, list.room);
}
/// Makes a list one of n links. Its memory may be written.
void write_links(const LinkList& list, const uint32_t* links, size_t n);

struct HnswGraph {
  HnswGraph(size_t m_links, bool narrow)
      : m(m_links), bottom(2 * m_links * (narrow ? kNarrowBytes : 4)), upper(m_links * 4), first_upper(4), levels(1) {}

  size_t m;
  Blocks bottom;       // 2 M links a slot
  Blocks upper;        // M links
  Blocks first_upper;  // uint32 a slot: its first list above the bottom, or kNoSlot
  Blocks levels;       // uint8 a slot
  size_t nodes = 0;
  size_t upper_lists = 0;
  uint32_t entry = kNoSlot;
  int top = -1;  // level of the entry

  size_t bottom_room() const { return 2 * m; }
  size_t room(int layer) const { return layer == 0 ? 2 * m : m; }
  bool narrow() const { return bottom.stride() != bottom_room() * sizeof(uint32_t); }
  LinkList list(uint32_t slot, int layer) const {
    return layer == 0 ? LinkList{bottom.item(slot), bottom_room(), narrow()}
                      : LinkList{upper.item(upper_list(slot, layer)), m, false};
  }
  uint32_t upper_list(uint32_t slot, int layer) const { return first(slot) + static_cast<uint32_t>(layer - 1); }
  /// Makes a list of n links.
  void put(uint32_t slot, int layer, const uint32_t* links, size_t n) { write_links(list(slot, layer), links, n); }
  uint32_t first(uint32_t slot) const { return *reinterpret_cast<const uint32_t*>(first_upper.item(slot)); }
  int level(uint32_t slot) const { return *levels.item(slot); }

  /// Room for that many nodes and lists above the bottom. False: out of memory, nothing has changed.
  [[nodiscard]] bool reserve(size_t node_count, size_t list_count) {
    return (node_count <= kNarrowNodes || widen()) && bottom.reserve(node_count) && upper.reserve(list_count) &&
           first_upper.reserve(node_count) && levels.reserve(node_count);
  }
  /// Links in four bytes from now on. False: out of memory, nothing has changed.
  [[nodiscard]] bool widen();
  void truncate(size_t node_count, size_t list_count) {
    bottom.truncate(node_count);
    upper.truncate(list_count);
    first_upper.truncate(node_count);
    levels.truncate(node_count);
  }
  /// Empty lists for a slot that continues the arrays.
  void open_node(uint32_t slot, int level, uint32_t list);
  void save(Sections* out) const;
  /// Believes no link, level or count. The graph is empty before.
  Status load(const SectionReader& sections, size_t node_count, size_t list_count, uint32_t entry_slot, int top_level);
  size_t bytes() const { return bottom.bytes() + upper.bytes() + first_upper.bytes() + levels.bytes(); }
  void swap(HnswGraph& other) noexcept;
};

/// Level of a node: l with probability M^-l (1 - 1/M).
int level_of(uint64_t seed, uint32_t slot, size_t m);

/// A graph with changes that no search sees yet: lists of old nodes are copied when first written, nodes that continue
/// the arrays are written in place. Dropping it leaves the graph as it was.
class HnswEdit {
 public:
  explicit HnswEdit(HnswGraph& graph)
      : graph_(graph),
        old_nodes_(graph.nodes),
        old_lists_(graph.upper_lists),
        bottom_(graph.bottom.stride()),
        upper_(graph.upper.stride()) {}

  /// To be called once, before anything else, when there is room in the graph. False: out of memory.
  [[nodiscard]] bool begin();
  size_t m() const { return graph_.m; }
  size_t room(int layer) const { return graph_.room(layer); }
  int level(uint32_t slot) const { return graph_.level(slot); }
  LinkList list(uint32_t slot, int layer) const {
    LinkList found = graph_.list(slot, layer);
    if (layer == 0) {
      if (slot < old_nodes_ && bottom_at_[slot] != 0) found.links = bottom_.item(bottom_at_[slot] - 1);
    } else {
      const uint32_t at = graph_.upper_list(slot, layer);
      if (at < old_lists_ && upper_at_[at] != 0) found.links = upper_.item(upper_at_[at] - 1);
    }
    return found;
  }
  /// Makes sure that the list can be written; not thread-safe. False: out of memory.
  [[nodiscard]] bool touch(uint32_t slot, int layer);
  /// Makes a touched or new list one of n links.
  void put(uint32_t slot, int layer, const uint32_t* links, size_t n) { write_links(list(slot, layer), links, n); }

  /// Under the lock: puts the changed lists into the graph.
  void commit();

 private:
  static bool touch(const Blocks& from, uint32_t list, Buffer<uint32_t>& at, Blocks& changed, size_t* count);

  HnswGraph& graph_;
  const size_t old_nodes_, old_lists_;
  Buffer<uint32_t> bottom_at_, upper_at_;  // of each old list: 1 + its place among the changed ones, or 0
  Blocks bottom_, upper_;                  // changed lists
  size_t bottom_count_ = 0, upper_count_ = 0;
};

}  // namespace annex
