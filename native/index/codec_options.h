// Options of the codecs pq and rabitq, which several structures take as storage.
#pragma once
#include "index/options.h"
#include "quant/codec.h"

namespace annex {

inline bool is_codec(Storage storage) { return storage == Storage::pq || storage == Storage::rabitq; }
bool is_codec_key(Key key);
/// Reads and checks what belongs to the codec of common.storage, with defaults; its keys are refused elsewhere.
Status read_codec(const Option* options, size_t count, const CommonOptions& common, CodecOptions* out);
/// The options as read_codec takes them.
void list_codec(const CodecOptions& codec, OptionList* out);

}  // namespace annex
