// How the memory grows, and operator new over malloc.
#include <cstddef>
#include <cstdlib>
#include <new>

// The library's own (wasm.cmake puts this one before it) grows by what is missing and no more. An engine counts the
// whole memory as garbage each time, so that adding rows spent most of its time in collections: growing by an eighth
// makes them few. What is not touched takes up no memory of the machine.
extern "C" int __real_emscripten_resize_heap(std::size_t bytes);
extern "C" int __wrap_emscripten_resize_heap(std::size_t bytes) {
  const std::size_t now = __builtin_wasm_memory_size(0) * std::size_t{65536};
  const std::size_t ahead = now + now / 8;
  if (ahead > bytes && __real_emscripten_resize_heap(ahead) != 0) return 1;
  return __real_emscripten_resize_heap(bytes);
}

// operator new over malloc. The library's own is compiled without exceptions here, and so ends the program when memory
// is exhausted, even where the caller asked for null instead.

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes == 0 ? 1 : bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes == 0 ? 1 : bytes); }

// Nothing in the core allocates this way; what does must not go on with null.
void* operator new(std::size_t bytes) {
  void* pointer = std::malloc(bytes == 0 ? 1 : bytes);
  if (pointer == nullptr) __builtin_trap();
  return pointer;
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }

void operator delete(void* pointer) noexcept { std::free(pointer); }
void operator delete[](void* pointer) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { std::free(pointer); }
void operator delete[](void* pointer, std::size_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, const std::nothrow_t&) noexcept { std::free(pointer); }
void operator delete[](void* pointer, const std::nothrow_t&) noexcept { std::free(pointer); }
