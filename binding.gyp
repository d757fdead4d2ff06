{
  # The addon by plain node-gyp: `node-gyp rebuild` leaves it in build/Release/annex.node. CMakeLists.txt builds the
  # same sources with the same meaning.
  "targets": [
    {
      "target_name": "annex",
      "sources": [
        "<!@(node -p \"const list = JSON.parse(require('fs').readFileSync('native/sources.json', 'utf8')); [...list.core, ...list.node].map((source) => 'native/' + source).join(' ')\")"
      ],
      "include_dirs": ["native"],
      "defines": ["NAPI_VERSION=8"],
      "cflags!": ["-fno-exceptions", "-O2"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20", "-std=gnu++1y"],
      "cflags_cc": [
        "-std=c++20", "-O3", "-fexceptions", "-ffp-contract=off", "-fvisibility=hidden", "-fvisibility-inlines-hidden",
        "-Wall", "-Wextra"
      ],
      "conditions": [
        ["OS=='linux'", {
          "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections"],
          "libraries": ["-ldl", "-pthread"],
          "configurations": { "Release": { "ldflags": ["-s"] } }
        }],
        ["OS=='mac'", {
          "xcode_settings": {
            "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
            "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
            "GCC_OPTIMIZATION_LEVEL": "3",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "MACOSX_DEPLOYMENT_TARGET": "11.0",
            "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off"]
          }
        }],
        ["OS=='win'", {
          "msvs_settings": {
            "VCCLCompilerTool": {
              "AdditionalOptions": ["/std:c++20", "/fp:precise"],
              "ExceptionHandling": 1
            }
          }
        }]
      ]
    }
  ]
}
