// The C ABI of files.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "api/annex.h"
#include "api/handles.h"
#include "file/disk.h"
#include "file/opener.h"
#include "file/saver.h"

using annex::fail;
using annex::guarded;
using annex::null_argument;
using annex::Status;

struct AnnexSaver {
  annex::Saver* saver;
  AnnexIndex* handle;
  annex::OutFile file;
  bool has_target = false;
  bool finished = false;
  bool failed = false;
};

struct AnnexOpener {
  annex::Opener opener;
};

namespace {

constexpr size_t kPart = 256 << 10;         // written at once, in the cache since its checksum
constexpr uint64_t kStepBytes = 32u << 20;  // some 20 ms into the system's cache

Status write_some(AnnexSaver& saver, const int32_t* cancel) {
  const uint64_t end = saver.saver->position() + kStepBytes;
  while (saver.saver->position() < end) {
    if (annex::cancelled(cancel)) return annex::aborted();
    const annex::Span part = saver.saver->next(kPart);
    if (part.bytes == 0) break;
    const Status status = saver.file.write(part.data, part.bytes);
    if (status != Status::ok) return status;
  }
  if (saver.saver->position() < saver.saver->size()) {
    saver.file.flush_soon();
    return Status::ok;
  }
  if (annex::cancelled(cancel)) return annex::aborted();
  saver.finished = true;
  return saver.file.commit();
}

}  // namespace

AnnexStatus annex_saver_open(AnnexIndex* index, const void* metadata, size_t metadata_bytes, AnnexSaver** out) {
  return guarded([&] {
    if (index == nullptr || out == nullptr || (metadata == nullptr && metadata_bytes != 0)) return null_argument();
    *out = nullptr;
    char creator[24];
    std::snprintf(creator, sizeof creator, "annex %s", annex::kVersion);
    AnnexSaver* handle = new (std::nothrow) AnnexSaver{nullptr, index, {}};
    if (handle == nullptr) return annex::out_of_memory(sizeof(AnnexSaver));
    const Status status = annex::Saver::open(*index->index, creator, metadata, metadata_bytes, &handle->saver);
    if (status != Status::ok) {
      delete handle;
      return status;
    }
    annex_retain(index);
    *out = handle;
    return Status::ok;
  });
}

double annex_saver_size(const AnnexSaver* saver) { return static_cast<double>(saver->saver->size()); }

AnnexStatus annex_saver_read(AnnexSaver* saver, void* buffer, size_t room, size_t* written) {
  return guarded([&] {
    if (saver == nullptr || written == nullptr || (buffer == nullptr && room != 0)) return null_argument();
    if (saver->has_target) return fail(Status::invalid_argument, "this saver writes to a path");
    *written = saver->saver->read(static_cast<uint8_t*>(buffer), room);
    return Status::ok;
  });
}

AnnexStatus annex_saver_target(AnnexSaver* saver, const char* path) {
  return guarded([&] {
    if (saver == nullptr || path == nullptr) return null_argument();
    if (saver->has_target || saver->saver->position() != 0) {
      return fail(Status::invalid_argument, "this saver has begun already");
    }
    saver->has_target = true;
    const Status status = saver->file.create(path);
    saver->failed = status != Status::ok;
    return status;
  });
}

AnnexStatus annex_saver_step(AnnexSaver* saver, const int32_t* cancel, AnnexProgress* progress) {
  return guarded([&] {
    if (saver == nullptr || progress == nullptr) return null_argument();
    if (!saver->has_target || saver->failed) return fail(Status::invalid_argument, "this saver has no file to write");
    saver->failed = true;
    const Status status = saver->finished ? Status::ok : write_some(*saver, cancel);
    saver->failed = status != Status::ok;
    *progress = {static_cast<double>(saver->saver->position()), static_cast<double>(saver->saver->size()),
                 ANNEX_PHASE_WRITE, saver->finished};
    return status;
  });
}

void annex_saver_close(AnnexSaver* saver) {
  if (saver == nullptr) return;
  AnnexIndex* index = saver->handle;
  delete saver->saver;
  delete saver;
  annex_release(index);
}

AnnexStatus annex_opener_open(int32_t flags, AnnexOpener** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument();
    *out = nullptr;
    constexpr int32_t kKnown = ANNEX_OPEN_MMAP | ANNEX_OPEN_LAZY | ANNEX_OPEN_READ_ONLY;
    if ((flags & ~kKnown) != 0) return fail(Status::invalid_argument, "unknown flags of opening: %d", flags);
    const annex::OpenOptions options{(flags & ANNEX_OPEN_MMAP) != 0, (flags & ANNEX_OPEN_LAZY) != 0,
                                     (flags & ANNEX_OPEN_READ_ONLY) != 0};
    *out = new (std::nothrow) AnnexOpener{annex::Opener(options)};
    return *out == nullptr ? annex::out_of_memory(sizeof(AnnexOpener)) : Status::ok;
  });
}

AnnexStatus annex_opener_path(AnnexOpener* opener, const char* path) {
  return guarded([&] { return opener == nullptr || path == nullptr ? null_argument() : opener->opener.open(path); });
}

AnnexStatus annex_opener_expect(AnnexOpener* opener, double bytes) {
  return guarded([&] {
    if (opener == nullptr) return null_argument();
    if (!(bytes >= 0 && bytes <= 9007199254740991.0)) return fail(Status::invalid_argument, "%g is no length", bytes);
    opener->opener.expect(static_cast<uint64_t>(bytes));
    return Status::ok;
  });
}

AnnexStatus annex_opener_append(AnnexOpener* opener, const void* bytes, size_t n) {
  return guarded([&] {
    if (opener == nullptr || (bytes == nullptr && n != 0)) return null_argument();
    return opener->opener.append(bytes, n);
  });
}

AnnexStatus annex_opener_step(AnnexOpener* opener, const int32_t* cancel, AnnexProgress* progress) {
  return guarded([&] {
    if (opener == nullptr || progress == nullptr) return null_argument();
    annex::Progress made;
    const Status status = opener->opener.step(cancel, &made);
    *progress = {made.done, made.total, static_cast<int32_t>(made.phase), made.finished};
    return status;
  });
}

size_t annex_opener_metadata(const AnnexOpener* opener, void* out, size_t room) {
  if (opener == nullptr) return 0;
  const size_t bytes = opener->opener.metadata_bytes();
  if (out != nullptr && bytes != 0) std::memcpy(out, opener->opener.metadata(), std::min(room, bytes));
  return bytes;
}

AnnexStatus annex_opener_finish(AnnexOpener* opener, AnnexIndex** out) {
  return guarded([&] {
    if (opener == nullptr || out == nullptr) return null_argument();
    *out = nullptr;
    AnnexIndex* handle = new (std::nothrow) AnnexIndex{nullptr};
    if (handle == nullptr) return annex::out_of_memory(sizeof(AnnexIndex));
    const Status status = opener->opener.finish(&handle->index);
    if (status == Status::ok) {
      *out = handle;
    } else {
      delete handle;
    }
    return status;
  });
}

void annex_opener_close(AnnexOpener* opener) { delete opener; }
