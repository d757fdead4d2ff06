// What the addon exports; see ts/addon.ts for the signatures. Each takes positional arguments, throws or (…_async)
// rejects, and holds no knowledge of any kind of index.
#pragma once
#include "node/call.h"

namespace annex::node {

napi_value init(Call& call);
napi_value engine(Call& call);
napi_value cancel(Call& call);
napi_value poll(Call& call);

napi_value create(Call& call);
napi_value attach(Call& call);
napi_value close(Call& call);
napi_value size(Call& call);
napi_value next_id(Call& call);
napi_value stats(Call& call);
napi_value options(Call& call);
napi_value share(Call& call);
napi_value remove(Call& call);
napi_value remove_async(Call& call);
napi_value has(Call& call);
napi_value get(Call& call);
napi_value ids(Call& call);

napi_value search(Call& call);
napi_value search_async(Call& call);
napi_value bind_search(Call& call);

napi_value open_writer(Call& call);
napi_value append(Call& call);
napi_value append_async(Call& call);
napi_value step(Call& call);
napi_value step_async(Call& call);
napi_value commit(Call& call);
napi_value commit_async(Call& call);
napi_value abort(Call& call);

napi_value open_saver(Call& call);
napi_value saver_size(Call& call);
napi_value saver_read(Call& call);
napi_value saver_step(Call& call);
napi_value saver_step_async(Call& call);
napi_value close_saver(Call& call);

napi_value open_opener(Call& call);
napi_value opener_append(Call& call);
napi_value opener_step(Call& call);
napi_value opener_step_async(Call& call);
napi_value opener_metadata(Call& call);
napi_value opener_finish(Call& call);
napi_value close_opener(Call& call);

}  // namespace annex::node
