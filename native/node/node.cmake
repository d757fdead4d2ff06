# The addon, annex.node. cmake-js calls with CMAKE_JS_INC (headers), CMAKE_JS_LIB (import library) and CMAKE_JS_SRC
# (delay-load hook), the last two on Windows only. The core is compiled into it.
annex_sources(node ANNEX_NODE_SOURCES)
add_library(annex SHARED ${ANNEX_NODE_SOURCES} ${CMAKE_JS_SRC})
set_target_properties(annex PROPERTIES PREFIX "" SUFFIX ".node")
target_include_directories(annex PRIVATE ${CMAKE_JS_INC})
target_link_libraries(annex PRIVATE annex_core ${CMAKE_JS_LIB} ${CMAKE_DL_LIBS})
target_compile_definitions(annex PRIVATE NAPI_VERSION=8)
if(MSVC)
  target_compile_options(annex PRIVATE /W4)
else()
  target_compile_options(annex PRIVATE -Wall -Wextra -fvisibility-inlines-hidden)
endif()
if(APPLE)
  # Node-API is found in the program that loads the addon.
  target_link_options(annex PRIVATE -undefined dynamic_lookup)
elseif(NOT WIN32)
  # libstdc++ inside and none of its symbols outside: the addon runs where an older one, or another, is installed.
  if(NOT ANNEX_SANITIZE)
    target_link_options(annex PRIVATE -static-libstdc++ -static-libgcc $<$<CONFIG:Release>:-s>)
  endif()
  target_link_options(annex PRIVATE -Wl,--exclude-libs,ALL -Wl,--gc-sections)
endif()
