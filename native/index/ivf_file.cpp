// An IVF index in a file: centroids, codec, and the lists one behind another, each in the form in which it is scanned,
// so that a reader finds a list by one entry of a table and reads it in one stretch.
#include <algorithm>
#include <cstring>
#include <new>

#include "base/parallel.h"
#include "base/round.h"
#include "index/ivf.h"
#include "index/ivf_encode.h"

namespace annex {
namespace {

constexpr Tag kIvfTag = make_tag("IVF ");
constexpr Tag kTableTag = make_tag("LTAB");
constexpr Tag kListsTag = make_tag("LIST");
constexpr RowTags kCentroidTags = {make_tag("CROW"), make_tag("CNRM"), make_tag("CPAN"), make_tag("CTRM")};

// Centroids as floats alone, as imports bring them: instead of the sections of a row store.
constexpr Tag kPlainTag = make_tag("CENT");
// The list of each row, as imports bring it: instead of the lists, where these hold narrow copies.
constexpr Tag kAssignedTag = make_tag("ASGN");
constexpr size_t kRowsAtOnce = 4096;

struct Facts {
  uint32_t trained, reserved;
  uint64_t entries;  // of all lists
};
static_assert(sizeof(Facts) == 16);

struct TableEntry {
  uint64_t offset;  // in section LIST
  uint32_t size;
  float reach;
};
static_assert(sizeof(TableEntry) == 16);

}  // namespace

void IvfLists::save(Sections* out) const {
  Buffer<TableEntry> table;
  if (!table.resize(nlist_)) {
    out->fail();
    return;
  }
  uint64_t at = 0;
  for (size_t l = 0; l < nlist_; ++l) {
    const size_t room = round_up(size(l), layout_.group());
    table[l] = {at, static_cast<uint32_t>(size(l)), reaches_[l]};
    at += layout_.whole_bytes(room);
  }
  out->begin(kTableTag);
  out->copy(table.data(), nlist_ * sizeof(TableEntry));
  out->begin(kListsTag);
  for (size_t l = 0; l < nlist_; ++l) {
    const size_t used = size(l);
    if (used == 0) continue;
    const size_t room = round_up(used, layout_.group());
    const size_t here = capacity(l);
    const size_t code_bytes = layout_.code_bytes(room);
    const size_t inside = std::min(code_bytes, layout_.code_bytes(here));
    out->add(codes(l), inside);
    out->zeros(code_bytes - inside);
    for (size_t t = 0; t < layout_.terms(); ++t) {
      out->add(terms(l) + t * here, used * sizeof(float));
      out->zeros((room - used) * sizeof(float));
    }
    if (layout_.has_slots()) out->add(slots(l), used * sizeof(uint32_t));
    out->zeros(layout_.whole_bytes(room) - layout_.list_bytes(room) - layout_.slot_bytes(used));
  }
}

Status IvfLists::load(const SectionReader& sections, size_t rows, size_t copies) {
  Buffer<TableEntry> table;
  Status status = sections.borrow(kTableTag, Content::steering, nlist_, &table);
  if (status != Status::ok) return status;
  Buffer<uint64_t> ends;
  if (!ends.resize(chunks_.size())) return out_of_memory(chunks_.size() * 8);
  uint64_t at = 0;
  for (size_t l = 0; l < nlist_; ++l) {
    if (table[l].offset != at) return corrupt(kTableTag, "list %zu does not follow the one before it", l);
    if (table[l].size > rows) return corrupt(kTableTag, "list %zu has %u entries", l, table[l].size);
    if (!(table[l].reach >= 0)) return corrupt(kTableTag, "the reach of list %zu is no length", l);
    reaches_[l] = table[l].reach;
    const size_t room = round_up(table[l].size, layout_.group());
    places_[l] = {static_cast<size_t>(at), table[l].size, static_cast<uint32_t>(room)};
    entries_ += table[l].size;
    at += layout_.whole_bytes(room);
    if (at > SIZE_MAX / 2) return corrupt(kTableTag, "the lists are longer than can be");
    ends[chunk_of(l)] = at;
  }
  void* data = nullptr;
  status = sections.need(kListsTag, Content::payload, at, &data);
  if (status != Status::ok) return status;
  uint64_t begin = 0;
  for (size_t c = 0; c < chunks_.size(); ++c) {
    chunks_[c]->borrow(static_cast<uint8_t*>(data) + begin, static_cast<size_t>(ends[c] - begin));
    const size_t last = std::min(nlist_, (c + 1) * lists_per_chunk_);
    for (size_t l = c * lists_per_chunk_; l < last; ++l) places_[l].offset -= static_cast<size_t>(begin);
    begin = ends[c];
  }
  // Before there is room for what a huge number of rows would take.
  if (entries_ < rows || entries_ > uint64_t{rows} * copies) {
    return corrupt(kTableTag, "%zu entries for %zu rows cannot be", entries_, rows);
  }
  return layout_.has_slots() ? check_slots(rows, copies) : Status::ok;
}

Status IvfLists::check_slots(size_t rows, size_t copies) const {
  // Of each row, how many entries there are, and the last list that has one.
  struct Seen {
    uint32_t count, list;
  };
  Buffer<Seen> seen;
  if (!seen.resize_zeroed(rows)) return out_of_memory(rows * sizeof(Seen));
  for (size_t l = 0; l < nlist_; ++l) {
    const uint32_t* own = slots(l);
    for (size_t i = 0; i < size(l); ++i) {
      if (own[i] >= rows)
        return corrupt(kListsTag, "entry %zu of list %zu is of row %u, which there is not", i, l, own[i]);
      Seen& row = seen[own[i]];
      if (row.count == copies || (row.count != 0 && row.list == l)) {
        return corrupt(kListsTag, "entry %zu of list %zu: row %u has too many entries", i, l, own[i]);
      }
      row = {row.count + 1, static_cast<uint32_t>(l)};
    }
  }
  for (size_t row = 0; row < rows; ++row) {
    if (seen[row].count == 0) return corrupt(kListsTag, "row %zu is in no list", row);
  }
  return Status::ok;
}

Status IvfIndex::begin_save(Sections* out) {
  const Status status = gate_.enter();
  if (status != Status::ok) return status;
  const Facts facts{trained_ ? 1u : 0u, 0, lists_.entries()};
  out->begin(kIvfTag);
  out->copy(&facts, sizeof facts);
  if (trained_) {
    centroids_.save(kCentroidTags, out);
    if (codec_ != nullptr) codec_->save(*out);
    lists_.save(out);
    if (options_.has_store()) store_.save(kRowTags, out);
  }
  ids_.save(out);
  return Status::ok;
}

Status IvfIndex::load(const SectionReader& sections) {
  Facts facts{};
  Status status = sections.read(kIvfTag, &facts);
  if (status != Status::ok) return status;
  if (facts.trained > 1 || sections.rows() > kMaxRows || (facts.trained == 0 && sections.rows() != 0)) {
    return corrupt(kIvfTag, "%.0f rows in an index that is %strained cannot be", static_cast<double>(sections.rows()),
                   facts.trained == 0 ? "un" : "");
  }
  status = ids_.load(sections, static_cast<size_t>(sections.rows()));
  if (status == Status::ok && facts.trained == 1) status = load_trained(sections);
  if (status != Status::ok) return status;
  if (lists_.entries() != facts.entries) return corrupt(kIvfTag, "its number of entries is not that of the lists");
  size_.store(ids_.size(), std::memory_order_release);
  trained_.store(facts.trained == 1, std::memory_order_release);
  return Status::ok;
}

Status IvfIndex::load_trained(const SectionReader& sections) {
  Status status = Status::ok;
  if (sections.has(kPlainTag)) {
    Buffer<float> plain;
    status = sections.borrow(kPlainTag, Content::steering, options_.nlist * options_.common.dim, &plain);
    if (status == Status::ok) status = check_finite(kPlainTag, plain.data(), plain.size());
    if (status != Status::ok) return status;
    if (!centroids_.reserve(options_.nlist)) return out_of_memory(options_.nlist * options_.common.dim * 4);
    status = centroids_.encode(0, plain.data(), options_.nlist, 0, nullptr);
    centroids_.set_size(options_.nlist);
  } else {
    status = centroids_.load(kCentroidTags, sections, options_.nlist);
  }
  if (status == Status::ok && !centroid_ids_.reserve(options_.nlist, true)) status = out_of_memory(options_.nlist * 16);
  if (status != Status::ok) return status;
  for (size_t l = 0; l < options_.nlist; ++l) centroid_ids_.append(static_cast<int64_t>(l));
  if (codec_ != nullptr) status = codec_->load(sections);
  const bool assigned = sections.has(kAssignedTag);
  if (status == Status::ok && !assigned) status = lists_.load(sections, ids_.size(), copies());
  if (status == Status::ok && options_.has_store()) status = store_.load(kRowTags, sections, ids_.size());
  if (status == Status::ok && assigned) status = make_lists(sections);
  if (status != Status::ok) return status;
  // Centroids that a graph refuses (a damaged file, mapped and unread) are looked at one by one.
  return make_graph(centroids_, &graph_) == Status::out_of_memory ? Status::out_of_memory : Status::ok;
}

Status IvfIndex::make_lists(const SectionReader& sections) {
  if (options_.entry() != IvfOptions::Entry::narrow || shape_.scalar != Scalar::f32 || copies() != 1) {
    return corrupt(kAssignedTag, "an index with these options keeps its lists");
  }
  Buffer<uint32_t> lists, sizes;
  Buffer<uint8_t> records;
  const size_t n = ids_.size(), bytes = lists_.layout().record_bytes();
  const Status status = sections.borrow(kAssignedTag, Content::steering, n, &lists);
  if (status != Status::ok) return status;
  if (!sizes.resize_zeroed(options_.nlist) || !records.resize(std::min(n, kRowsAtOnce) * bytes)) {
    return out_of_memory(options_.nlist * 4 + kRowsAtOnce * bytes);
  }
  for (size_t row = 0; row < n; ++row) {
    if (lists[row] >= options_.nlist) {
      return corrupt(kAssignedTag, "row %zu is in list %u, which there is not", row, lists[row]);
    }
    ++sizes[lists[row]];
  }
  Status made = lists_.reserve(sizes.data(), lock_);
  const IvfEncoder encoder(centroids_, centroid_ids_, options_, codec_, lists_.layout());
  for (size_t first = 0; first < n && made == Status::ok;) {
    const size_t count = std::min({kRowsAtOnce, n - first, store_.block_rows() - first % store_.block_rows()});
    const float* rows = reinterpret_cast<const float*>(store_.row(first));
    made = check_finite(kRowTags.rows, rows, count * shape_.dim);
    if (made == Status::ok) made = encoder.encode_narrow(rows, count, lists.data() + first, records.data());
    for (size_t i = 0; i < count && made == Status::ok; ++i) {
      const uint32_t list = lists[first + i];
      const uint8_t* record = records.data() + i * bytes;
      const size_t at = lists_.size(list);
      lists_.write(list, at, record, static_cast<uint32_t>(first + i));
      lists_.set_size(list, at + 1);
      lists_.raise_reach(list, lists_.layout().reach(record));
    }
    first += count;
  }
  return made;
}

}  // namespace annex
