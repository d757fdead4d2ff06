// Registration: every method, called through one guard. C++ exceptions (there is no memory) do not cross into
// JavaScript, and asynchronous methods never throw.
#include <iterator>
#include <new>

#include "node/call.h"
#include "node/methods.h"

namespace annex::node {
namespace {

using Method = napi_value (*)(Call&);

napi_value guarded(Method method, Call& call) {
  try {
    return method(call);
  } catch (const std::bad_alloc&) {
    return call.fail(ANNEX_OUT_OF_MEMORY, "out of memory");
  }
}

template <Method method>
napi_value plain(napi_env env, napi_callback_info info) {
  Call call(env, info);
  return guarded(method, call);
}

template <Method method>
napi_value rejecting(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (const napi_value promise = guarded(method, call)) return promise;
  napi_value error, promise;
  napi_deferred deferred;
  if (napi_get_and_clear_last_exception(env, &error) != napi_ok ||
      napi_create_promise(env, &deferred, &promise) != napi_ok ||
      napi_reject_deferred(env, deferred, error) != napi_ok) {
    return nullptr;
  }
  return promise;
}

struct Export {
  const char* name;
  napi_callback callback;
};

constexpr Export kExports[] = {
    {"init", plain<init>},
    {"engine", plain<engine>},
    {"cancel", plain<cancel>},
    {"poll", plain<poll>},
    {"create", plain<create>},
    {"attach", plain<attach>},
    {"close", plain<close>},
    {"size", plain<size>},
    {"nextId", plain<next_id>},
    {"stats", plain<stats>},
    {"options", plain<options>},
    {"share", plain<share>},
    {"remove", plain<remove>},
    {"removeAsync", rejecting<remove_async>},
    {"has", plain<has>},
    {"get", plain<get>},
    {"ids", plain<ids>},
    {"search", plain<search>},
    {"searchAsync", rejecting<search_async>},
    {"bindSearch", plain<bind_search>},
    {"openWriter", plain<open_writer>},
    {"append", plain<append>},
    {"appendAsync", rejecting<append_async>},
    {"step", plain<step>},
    {"stepAsync", rejecting<step_async>},
    {"commit", plain<commit>},
    {"commitAsync", rejecting<commit_async>},
    {"abort", plain<abort>},
    {"openSaver", plain<open_saver>},
    {"saverSize", plain<saver_size>},
    {"saverRead", plain<saver_read>},
    {"saverStep", plain<saver_step>},
    {"saverStepAsync", rejecting<saver_step_async>},
    {"closeSaver", plain<close_saver>},
    {"openOpener", plain<open_opener>},
    {"openerAppend", plain<opener_append>},
    {"openerStep", plain<opener_step>},
    {"openerStepAsync", rejecting<opener_step_async>},
    {"openerMetadata", plain<opener_metadata>},
    {"openerFinish", plain<opener_finish>},
    {"closeOpener", plain<close_opener>},
};

napi_value export_all(napi_env env, napi_value exports) {
  Environment* const environment = Environment::open(env);
  if (environment == nullptr) return nullptr;
  for (const Export& entry : kExports) {
    napi_value function;
    if (napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.callback, environment, &function) != napi_ok ||
        napi_set_named_property(env, exports, entry.name, function) != napi_ok) {
      return nullptr;
    }
  }
  return exports;
}

}  // namespace

napi_value init(Call& call) {
  napi_valuetype type;
  if (napi_typeof(call.env(), call[0], &type) != napi_ok || type != napi_function) {
    return call.fail(ANNEX_INVALID_TYPE, "addon: init takes the function that makes errors");
  }
  if (!call.environment().set_error_factory(call[0])) {
    return call.fail(ANNEX_INTERNAL, "addon: the runtime could not keep the function that makes errors");
  }
  return nullptr;
}

napi_value engine(Call& call) {
  const napi_env env = call.env();
  const char* const texts[] = {annex_version(), annex_isa(), annex_isa_note()};
  napi_value out, value;
  napi_create_array_with_length(env, std::size(texts) + 1, &out);
  for (uint32_t i = 0; i < std::size(texts); ++i) {
    napi_create_string_utf8(env, texts[i], NAPI_AUTO_LENGTH, &value);
    napi_set_element(env, out, i, value);
  }
  napi_create_uint32(env, annex_threads(), &value);
  napi_set_element(env, out, std::size(texts), value);
  return out;
}

napi_value cancel(Call& call) {
  double key;
  if (!call.number(0, "key", &key)) return nullptr;
  call.environment().cancel(key);
  return nullptr;
}

napi_value poll(Call& call) {
  napi_value again = nullptr;
  napi_get_boolean(call.env(), call.environment().poll(), &again);
  return again;
}

}  // namespace annex::node

NAPI_MODULE_INIT() { return annex::node::export_all(env, exports); }
