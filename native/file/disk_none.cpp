// No files on WebAssembly: the host reads and writes them.
#if defined(__wasm__)
#include "file/disk.h"

namespace annex {
namespace {
Status none() { return fail(Status::unsupported, "WebAssembly has no files of its own: pass their bytes"); }
}  // namespace

InFile::~InFile() {}
Status InFile::open(const char*) { return none(); }
Status InFile::read(uint64_t, void*, size_t) const { return none(); }
Status InFile::map(bool, Image*) const { return none(); }
OutFile::~OutFile() {}
Status OutFile::create(const char*) { return none(); }
Status OutFile::write(const void*, size_t) { return none(); }
void OutFile::flush_soon() {}
Status OutFile::commit() { return none(); }

}  // namespace annex
#endif
