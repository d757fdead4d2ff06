// How an index of the core becomes an object of JavaScript.
#pragma once
#include <memory>
#include <utility>

#include "node/call.h"
#include "node/handles.h"

namespace annex::node {

/// The object for the index that `make` puts into its argument.
template <class Make>
napi_value hand_out(Call& call, Make make) {
  auto handle = std::make_unique<IndexHandle>();
  handle->index = std::make_shared<Index>();
  Index& index = *handle->index;
  AnnexIndex* core = nullptr;
  if (const AnnexStatus status = make(&core); status != ANNEX_OK) return call.fail(status);
  index.hold(core);
  const napi_value object = wrap(call.environment(), std::move(handle));
  if (object != nullptr) index.account(call.env());
  return object;
}

}  // namespace annex::node
