#include "index/registry.h"

#include <cmath>

#include "index/flat.h"
#include "index/hnsw.h"
#include "index/id_map.h"
#include "index/ivf.h"

namespace annex {
namespace {

using Create = Status (*)(const Option* options, size_t count, Index** out);

// A row a structure, at the place of its AnnexKind.
constexpr Create kCreate[] = {FlatIndex::create, HnswIndex::create, IvfIndex::create};

}  // namespace

Status create_index(const Option* options, size_t count, Index** out) {
  double kind = 0;
  for (size_t i = 0; i < count; ++i) {
    if (options[i].key == static_cast<double>(Key::kind)) kind = options[i].value;
  }
  constexpr size_t kinds = sizeof kCreate / sizeof *kCreate;
  if (!(kind >= 0 && kind < static_cast<double>(kinds)) || kind != std::floor(kind)) {
    return fail(Status::invalid_argument, "unknown kind of index %g: expected a whole number below %zu", kind, kinds);
  }
  return kCreate[static_cast<size_t>(kind)](options, count, out);
}

Status Index::begin_save(Sections*) { return fail(Status::unsupported, "this kind of index cannot be saved"); }
Status Index::load(const SectionReader&) {
  return fail(Status::unsupported, "this kind of index cannot be opened from a file");
}

Status parse_id(double value, const char* what, size_t position, int64_t* id) {
  if (!(value >= 0 && value <= static_cast<double>(kMaxId)) || value != std::floor(value)) {
    return fail(Status::invalid_id, "%s %zu is %.17g: an id is a whole number from 0 to 2^53 - 1", what, position,
                value);
  }
  *id = static_cast<int64_t>(value);
  return Status::ok;
}

}  // namespace annex
