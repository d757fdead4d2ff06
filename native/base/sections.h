// What an index keeps in a file (file/FORMAT.md), as seen by the index: named sections, on the way out lists of spans
// of the index's own memory, so that saving copies nothing, and on the way in memory that the index goes on using in
// place.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/buffer.h"
#include "base/status.h"

namespace annex {

static_assert(std::endian::native == std::endian::little, "files are little-endian and used in place");

/// Four printable characters, the first in the lowest byte.
using Tag = uint32_t;

constexpr Tag make_tag(const char (&name)[5]) {
  Tag tag = 0;
  for (int i = 3; i >= 0; --i) tag = tag << 8 | static_cast<uint8_t>(name[i]);
  return tag;
}

/// A tag as text; what cannot be printed becomes '?'.
struct TagName {
  explicit TagName(Tag tag);
  char text[5];
};

struct Span {
  const void* data;
  size_t bytes;
};

/// The sections of one save. A failed allocation is kept in ok(), and the rest then does nothing.
class Sections {
 public:
  struct Section {
    Tag tag;
    uint16_t version;
    bool critical;  // a reader that does not know it must refuse the file
    size_t first, spans;
    uint64_t bytes;
  };

  Sections() = default;
  ~Sections();
  Sections(const Sections&) = delete;
  Sections& operator=(const Sections&) = delete;

  /// Starts a section; what follows belongs to it.
  void begin(Tag tag, uint16_t version = 1, bool critical = true);
  /// Memory that stays as it is until the save ends.
  void add(const void* data, size_t bytes);
  template <class T>
  void add(const Buffer<T>& buffer) {
    add(buffer.data(), buffer.size() * sizeof(T));
  }
  /// Memory of the list's own, all zero; null when there is none.
  uint8_t* make(size_t bytes);
  void copy(const void* data, size_t bytes);
  void zeros(size_t bytes);
  void fail() { ok_ = false; }
  bool ok() const { return ok_; }

  size_t size() const { return sections_.size(); }
  const Section& operator[](size_t i) const { return sections_[i]; }
  const Span& span(size_t i) const { return spans_[i]; }

 private:
  Buffer<Section> sections_;
  Buffer<Span> spans_;
  Buffer<void*> own_;
  bool ok_ = true;
};

/// How far wrong content could lead.
enum class Content {
  steering,  // positions, ids, links, lengths: checked against its checksum before it is handed out, always
  payload    // rows, codes, factors: any bytes are harmless to the process; may be left unread until they are needed
};

/// The sections of a file, in memory that outlives the index. What cannot be is reported as CORRUPT or UNSUPPORTED with
/// the name of the section.
class SectionReader {
 public:
  virtual ~SectionReader() = default;
  /// Index::size() and Index::next_id() of the index that was saved; not checked against anything.
  virtual uint64_t rows() const = 0;
  virtual int64_t next_id() const = 0;
  /// Whether payload is to be looked at as well: false while a mapped file is opened.
  virtual bool thorough() const = 0;
  virtual bool has(Tag tag) const = 0;
  /// Whether it is known that no float of it is NaN or Infinity, for it was looked at while it was read.
  virtual bool finite(Tag tag) const = 0;
  /// The content, aligned to 64 bytes, whatever its length. CORRUPT when it is missing or damaged, UNSUPPORTED when it
  /// is of another version.
  virtual Status get(Tag tag, uint16_t version, Content content, void** data, size_t* bytes) const = 0;

  /// The same of exactly `bytes` bytes.
  Status need(Tag tag, Content content, uint64_t bytes, void** data, uint16_t version = 1) const;
  /// Exactly `count` items, in place.
  template <class T>
  Status borrow(Tag tag, Content content, uint64_t count, Buffer<T>* out, uint16_t version = 1) const {
    void* data = nullptr;
    const uint64_t most = UINT64_MAX / sizeof(T);
    const Status status = need(tag, content, count > most ? UINT64_MAX : count * sizeof(T), &data, version);
    if (status == Status::ok) out->borrow(static_cast<T*>(data), static_cast<size_t>(count));
    return status;
  }
  /// A plain structure, copied out.
  template <class T>
  Status read(Tag tag, T* out, uint16_t version = 1) const {
    Buffer<T> one;
    const Status status = borrow(tag, Content::steering, 1, &one, version);
    if (status == Status::ok) *out = one[0];
    return status;
  }

  /// Calls check(part, offset, bytes) for the parts that make up a section, in multiples of 64 bytes but for the last,
  /// on the threads of the pool; a section that has not been compared with its checksum is, while a part is in the
  /// cache.
  template <class F>
  Status sweep(Tag tag, F&& check) const {
    return sweep_parts(
        tag,
        [](void* context, const uint8_t* part, size_t offset, size_t bytes) {
          (*static_cast<std::remove_reference_t<F>*>(context))(part, offset, bytes);
        },
        const_cast<void*>(static_cast<const void*>(&check)));
  }

 protected:
  using PartCheck = void (*)(void* context, const uint8_t* part, size_t offset, size_t bytes);
  virtual Status sweep_parts(Tag tag, PartCheck check, void* context) const = 0;
};

/// CORRUPT where one of n floats is NaN or Infinity.
Status check_finite(Tag tag, const float* values, size_t n);

/// fail(corrupt) with the name of the section before the message.
Status corrupt(Tag tag, const char* format, ...) ANNEX_PRINTF(2, 3);

}  // namespace annex
