# Builds annex.wasm: the C ABI as a bare WebAssembly module, without the JavaScript that emscripten could add. The
# loader is ts/wasm_core.ts. Run through scripts/build-wasm.mjs, or: emcmake cmake -S . -B build/wasm

# Every function of the C ABI is exported but annex_submit, which needs a thread pool.
set(ANNEX_ABI_HEADER ${CMAKE_CURRENT_SOURCE_DIR}/native/api/annex.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ANNEX_ABI_HEADER})
file(READ ${ANNEX_ABI_HEADER} ANNEX_ABI)
string(REGEX MATCHALL "annex_[a-z_]+\\(" ANNEX_EXPORTS "${ANNEX_ABI}")
list(TRANSFORM ANNEX_EXPORTS REPLACE "\\(" "")
list(REMOVE_DUPLICATES ANNEX_EXPORTS)
list(REMOVE_ITEM ANNEX_EXPORTS annex_submit)
list(SORT ANNEX_EXPORTS)

# Bulk memory, sign extension and saturating conversion are older than SIMD in every engine, so they cost no reach.
set(ANNEX_WASM_FEATURES -msimd128 -mbulk-memory -msign-ext -mnontrapping-fptoint)
# -O2: as fast as -O3 here, and smaller.
target_compile_options(annex_core PUBLIC ${ANNEX_WASM_FEATURES} -fno-exceptions -fno-rtti -O2)

# What is fast is in the kernels; the rest is downloaded more often than it is waited for.
foreach(source IN LISTS ANNEX_CORE_SOURCES)
  if(NOT source MATCHES "/native/kernels/")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS -Os)
  endif()
endforeach()

add_executable(annex_wasm wasm/layout.cpp wasm/memory.cpp $<TARGET_OBJECTS:annex_core>)
target_include_directories(annex_wasm PRIVATE native)
target_compile_options(annex_wasm PRIVATE ${ANNEX_WASM_FEATURES} -fno-exceptions -fno-rtti)
set_target_properties(annex_core annex_wasm PROPERTIES POSITION_INDEPENDENT_CODE OFF)
set_target_properties(annex_wasm PROPERTIES OUTPUT_NAME annex SUFFIX .wasm)

list(TRANSFORM ANNEX_EXPORTS PREPEND _ OUTPUT_VARIABLE ANNEX_LINK_EXPORTS)
list(JOIN ANNEX_LINK_EXPORTS "," ANNEX_LINK_EXPORTS)
target_link_options(annex_wasm PRIVATE
  -O3 ${ANNEX_WASM_FEATURES} --no-entry
  -sEXPORTED_FUNCTIONS=${ANNEX_LINK_EXPORTS}
  -sALLOW_MEMORY_GROWTH=1
  # One page short of 4 GiB, so that the end of an allocation is never address 2^32, which wraps to 0.
  -sMAXIMUM_MEMORY=4294901760
  -sINITIAL_MEMORY=2097152
  # dlmalloc: emmalloc hands out memory past the end when a request near 4 GiB wraps.
  -sMALLOC=dlmalloc
  # The stack lies below the data, so that an overflow traps instead of overwriting it.
  -sTOTAL_STACK=1048576
  -Wl,--stack-first
  # How the memory grows: wasm/memory.cpp.
  -Wl,--wrap=emscripten_resize_heap
)

# Drops what the linker exports beyond the C ABI (stack helpers, errno), and the code that only they reach.
find_program(WASM_METADCE wasm-metadce)
find_program(WASM_OPT wasm-opt)
if(WASM_METADCE AND WASM_OPT)
  set(ANNEX_GRAPH "")
  foreach(name IN LISTS ANNEX_EXPORTS ITEMS memory _initialize)
    list(APPEND ANNEX_GRAPH "{\"name\": \"${name}\", \"export\": \"${name}\", \"root\": true}")
  endforeach()
  list(JOIN ANNEX_GRAPH ",\n" ANNEX_GRAPH)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/exports.json "[${ANNEX_GRAPH}]\n")
  set(ANNEX_BINARYEN_FEATURES --enable-simd --enable-bulk-memory --enable-sign-ext --enable-nontrapping-float-to-int
    --enable-mutable-globals)
  add_custom_command(TARGET annex_wasm POST_BUILD VERBATIM
    COMMAND ${WASM_METADCE} ${ANNEX_BINARYEN_FEATURES} $<TARGET_FILE:annex_wasm>
      --graph-file=${CMAKE_CURRENT_BINARY_DIR}/exports.json -o $<TARGET_FILE:annex_wasm> > ${CMAKE_CURRENT_BINARY_DIR}/unused.txt
    COMMAND ${WASM_OPT} ${ANNEX_BINARYEN_FEATURES} -O3 $<TARGET_FILE:annex_wasm> -o $<TARGET_FILE:annex_wasm>)
endif()

# The parity tests of the kernels, as WASI programs: test/wasm/kernels.mjs builds and runs them.
foreach(name IN ITEMS kernels_test codes_test)
  add_executable(annex_wasm_${name} EXCLUDE_FROM_ALL test/native/${name}.cpp)
  target_link_libraries(annex_wasm_${name} PRIVATE annex_core)
  target_link_options(annex_wasm_${name} PRIVATE -O2 ${ANNEX_WASM_FEATURES} -sALLOW_MEMORY_GROWTH=1 -sTOTAL_STACK=4194304)
  set_target_properties(annex_wasm_${name} PROPERTIES OUTPUT_NAME ${name} SUFFIX .wasm)
endforeach()
