// An HNSW index in a file: rows, ids, and the arrays of the graph as they lie in memory.
#include <algorithm>
#include <atomic>
#include <new>

#include "base/parallel.h"
#include "index/hnsw.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr Tag kHnswTag = make_tag("HNSW");
constexpr Tag kNarrowTag = make_tag("LNK3");  // one of these two
constexpr Tag kWideTag = make_tag("LNK0");
constexpr Tag kUpperTag = make_tag("LNKU");
constexpr Tag kFirstTag = make_tag("FRST");
constexpr Tag kLevelTag = make_tag("LEVL");
constexpr Tag kCodesTag = make_tag("CODE");
constexpr RowTags kWideTags = {make_tag("WROW"), make_tag("WNRM"), make_tag("WPAN"), make_tag("WTRM")};

constexpr size_t kSlots = 16384;  // whose lists one thread looks at
constexpr size_t kUnpacked = 1024;

struct Facts {
  uint64_t nodes, lists;  // slots, removed ones included; lists above the bottom layer
  uint32_t entry;
  int32_t top;
  uint64_t learnt_from;  // rows that the codes were learnt from; 0: no codes
};
static_assert(sizeof(Facts) == 32);

void add(const Blocks& blocks, size_t count, Sections* out) {
  blocks.each(count, [&](const uint8_t* items, size_t bytes) { out->add(items, bytes); });
}

/// The content of `count` items, on which `out` stands; *items is where they lie one behind another.
template <class T>
Status borrow(const SectionReader& sections, Tag tag, Content content, size_t count, Blocks* out, const T** items) {
  void* data = nullptr;
  const Status status = sections.need(tag, content, uint64_t{count} * out->stride(), &data);
  if (status != Status::ok) return status;
  *items = static_cast<const T*>(data);
  return out->borrow(static_cast<uint8_t*>(data), count) ? Status::ok : out_of_memory(kHugePage);
}

// What stands in the links that begin in a part of them.
LinkSurvey survey_wide(const uint8_t* part, size_t bytes, uint32_t nodes) {
  return kernels().walk.survey_links(reinterpret_cast<const uint32_t*>(part), bytes / sizeof(uint32_t), nodes);
}
LinkSurvey survey_narrow(const uint8_t* links, size_t offset, size_t bytes, uint32_t nodes) {
  const size_t end = (offset + bytes + kNarrowBytes - 1) / kNarrowBytes;
  LinkSurvey all{false, 0};
  uint32_t unpacked[kUnpacked];
  for (size_t i = (offset + kNarrowBytes - 1) / kNarrowBytes; i < end; i += kUnpacked) {
    const size_t n = std::min(end - i, kUnpacked);
    kernels().walk.unpack_links(links + i * kNarrowBytes, n, unpacked);
    const LinkSurvey survey = kernels().walk.survey_links(unpacked, n, nodes);
    all = {all.astray || survey.astray, all.marks + survey.marks};
  }
  return all;
}

}  // namespace

void HnswGraph::save(Sections* out) const {
  out->begin(narrow() ? kNarrowTag : kWideTag);
  add(bottom, nodes, out);
  out->begin(kUpperTag);
  add(upper, upper_lists, out);
  out->begin(kFirstTag);
  add(first_upper, nodes, out);
  out->begin(kLevelTag);
  add(levels, nodes, out);
}

Status HnswGraph::load(const SectionReader& sections, size_t node_count, size_t list_count, uint32_t entry_slot,
                       int top_level) {
  const uint32_t *upper_links = nullptr, *firsts = nullptr;
  const uint8_t *bottom_links = nullptr, *level_of = nullptr;
  const Tag bottom_tag = sections.has(kNarrowTag) ? kNarrowTag : kWideTag;
  if (narrow() != (bottom_tag == kNarrowTag)) HnswGraph(m, !narrow()).swap(*this);
  if (narrow() && node_count > kNarrowNodes) {
    return corrupt(kNarrowTag, "links in three bytes lead to %u nodes at most, not to %zu", kNarrowNodes, node_count);
  }
  // Most of what steers are the bottom links: they are compared with their checksum further below, in the pass that
  // checks them.
  Status status = borrow(sections, bottom_tag, Content::payload, node_count, &bottom, &bottom_links);
  if (status == Status::ok) status = borrow(sections, kUpperTag, Content::steering, list_count, &upper, &upper_links);
  if (status == Status::ok) status = borrow(sections, kFirstTag, Content::steering, node_count, &first_upper, &firsts);
  if (status == Status::ok) status = borrow(sections, kLevelTag, Content::steering, node_count, &levels, &level_of);
  if (status != Status::ok) return status;
  nodes = node_count;
  upper_lists = list_count;
  entry = entry_slot;
  top = top_level;

  size_t list = 0;
  for (size_t slot = 0; slot < nodes; ++slot) {
    const uint8_t level = level_of[slot];
    if (level > kMaxLevel) return corrupt(kLevelTag, "slot %zu is on level %u", slot, level);
    if (firsts[slot] != (level == 0 ? kNoSlot : list)) {
      return corrupt(kFirstTag, "slot %zu has a wrong list", slot);
    }
    list += level;
  }
  if (list != list_count) return corrupt(kLevelTag, "the levels make %zu lists, expected %zu", list, list_count);
  const bool entered = nodes == 0 ? entry == kNoSlot && top == -1 : entry < nodes && top == level(entry);
  if (!entered) return corrupt(kHnswTag, "the entry, slot %u on level %d, cannot be", entry, top);

  // All places of a list, those behind its end too: an end moves when links are added.
  std::atomic<size_t> bad{SIZE_MAX}, tree_ends{0};
  status = sections.sweep(bottom_tag, [&](const uint8_t* part, size_t offset, size_t bytes) {
    const auto count = static_cast<uint32_t>(nodes);
    const LinkSurvey survey =
        narrow() ? survey_narrow(bottom_links, offset, bytes, count) : survey_wide(part, bytes, count);
    if (survey.astray) bad = offset / bottom.stride();
    tree_ends += survey.marks;
  });
  if (status != Status::ok) return status;
  if (bad != SIZE_MAX) return corrupt(bottom_tag, "a link in or behind slot %zu leads out of the graph", bad.load());
  // With more, there may be no node left that a new one can become a child of.
  if (tree_ends > 2 * nodes) return corrupt(bottom_tag, "its tree has %zu ends of edges", tree_ends.load());
  std::atomic<size_t> astray{SIZE_MAX};
  parallel_for((nodes + kSlots - 1) / kSlots, 0, [&](size_t task) {
    for (size_t slot = task * kSlots; slot < std::min(nodes, (task + 1) * kSlots); ++slot) {
      if (level_of[slot] == 0) continue;
      const uint32_t* of_slot = upper_links + size_t{firsts[slot]} * m;
      for (size_t i = 0; i < level_of[slot] * m; ++i) {
        const uint32_t link = of_slot[i];
        if (link != kNoLink && (link >= nodes || level_of[link] <= i / m)) astray = slot;
      }
    }
  });
  if (astray != SIZE_MAX) {
    return corrupt(kUpperTag, "a link of slot %zu leads to no node on its layer", astray.load());
  }
  return Status::ok;
}

Status HnswIndex::begin_save(Sections* out) {
  const Status status = gate_.enter();
  if (status != Status::ok) return status;
  const HnswState& s = state_;
  const Facts facts{s.graph.nodes, s.graph.upper_lists, s.graph.entry, s.graph.top,
                    s.codes == nullptr ? 0 : uint64_t{s.codes->learnt_from}};
  out->begin(kHnswTag);
  out->copy(&facts, sizeof facts);
  s.graph.save(out);
  s.reach.save(out);
  if (s.codes != nullptr) {
    s.codes->coder.save(out);
    out->begin(kCodesTag);
    add(s.codes->codes, s.graph.nodes, out);
  }
  s.rows.save(kRowTags, out);
  if (s.has_wide) s.wide.save(kWideTags, out);
  s.ids.save(out);
  return Status::ok;
}

Status HnswIndex::load(const SectionReader& sections) {
  HnswState& s = state_;
  Facts facts{};
  Status status = sections.read(kHnswTag, &facts);
  if (status != Status::ok) return status;
  if (facts.nodes > kMaxNodes || facts.lists > facts.nodes * kMaxLevel || sections.rows() > facts.nodes) {
    return corrupt(kHnswTag, "%.0f nodes with %.0f lists cannot be", static_cast<double>(facts.nodes),
                   static_cast<double>(facts.lists));
  }
  const size_t nodes = static_cast<size_t>(facts.nodes);
  if (coded_ ? facts.learnt_from == 0 && nodes != 0 : facts.learnt_from != 0) {
    return corrupt(kHnswTag, coded_ ? "layout codes has none" : "layout plain has codes");
  }
  status = s.rows.load(kRowTags, sections, nodes);
  if (status == Status::ok && s.has_wide) status = s.wide.load(kWideTags, sections, nodes);
  if (status == Status::ok) status = s.ids.load(sections, nodes);
  if (status == Status::ok) {
    status = s.graph.load(sections, nodes, static_cast<size_t>(facts.lists), facts.entry, facts.top);
  }
  if (status == Status::ok) status = s.reach.load(sections);
  if (status == Status::ok && facts.learnt_from != 0) {
    const RowShape& shape = s.rows.shape();
    s.codes.reset(new (std::nothrow) HnswCodes(shape.metric, shape.dim));
    if (s.codes == nullptr) return out_of_memory(sizeof(HnswCodes));
    s.codes->learnt_from = static_cast<size_t>(std::min<uint64_t>(facts.learnt_from, kMaxNodes));
    const uint8_t* codes = nullptr;
    status = s.codes->coder.load(sections, options_.seed);
    if (status == Status::ok) status = borrow(sections, kCodesTag, Content::payload, nodes, &s.codes->codes, &codes);
  }
  if (status != Status::ok) return status;
  if (s.ids.vacated() != 0) {
    if (!s.removed.resize_zeroed(nodes / 32 + 1)) return out_of_memory(nodes / 8);
    for (uint32_t slot = 0; slot < nodes; ++slot) {
      if (s.ids.id_of(slot) == kNoId) s.mark_removed(slot);
    }
  }
  size_.store(s.live(), std::memory_order_release);
  return Status::ok;
}

}  // namespace annex
