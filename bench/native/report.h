// How the benches of kernels measure and print: kernel and floor in turns, medians. Included once.
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "kernels/kernels.h"

using annex::Kernels;

struct Options {
  bool quick = false, json = false;
  std::string table, only;
  size_t dim = 768;
};

inline volatile double sink;
inline bool first_line = true;

// Processor time of this thread where there is such a clock: other processes then disturb less.
inline double now() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

inline double seconds_of(const std::function<void()>& run) {
  const double start = now();
  run();
  return now() - start;
}

inline double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// Repeats `run` until it takes about 2 ms, so that the clock does not matter; gives seconds of one run.
struct Measure {
  std::function<void()> run;
  size_t loops = 1;
  std::vector<double> times;
  void calibrate() {
    for (;; loops *= 2) {
      const double t = seconds_of([&] { repeat(); });
      if (t > 0.002) break;
    }
  }
  void repeat() const {
    for (size_t i = 0; i < loops; i++) run();
  }
  void sample() {
    times.push_back(seconds_of([&] { repeat(); }) / static_cast<double>(loops));
  }
};

// Takes the kernel and its floor in turns, and prints them.
inline void report(const Options& options, const Kernels& k, const std::string& kernel, double work, const char* unit,
                   double floor_work, std::function<void()> floor, std::function<void()> run) {
  if (!options.only.empty() && kernel.find(options.only) == std::string::npos) return;
  Measure a{std::move(floor), 1, {}}, b{std::move(run), 1, {}};
  a.calibrate();
  b.calibrate();
  for (int i = 0; i < (options.quick ? 3 : 9); i++) {
    a.sample();
    b.sample();
  }
  const double peak = floor_work / median(a.times), got = work / median(b.times);
  if (options.json) {
    std::printf(
        "%s\n  {\"table\": \"%s\", \"kernel\": \"%s\", \"unit\": \"%s\", \"floor\": %.3f, \"measured\": %.3f, "
        "\"ratio\": %.3f}",
        first_line ? "" : ",", k.name, kernel.c_str(), unit, peak / 1e9, got / 1e9, got / peak);
  } else {
    std::printf("%-11s %-34s %8.2f %8.2f %s  %5.2f\n", k.name, kernel.c_str(), peak / 1e9, got / 1e9, unit, got / peak);
  }
  first_line = false;
  std::fflush(stdout);
}

// Memory for all benches: far larger than the caches, filled with harmless values of every coding.
struct Arena {
  explicit Arena(size_t bytes) : memory(bytes + 4096) {
    data = memory.data() + (4096 - reinterpret_cast<uintptr_t>(memory.data()) % 4096);
    size = bytes;
    const float x = 0.5f;
    for (size_t i = 0; i + 4 <= bytes; i += 4) std::memcpy(data + i, &x, 4);
  }
  std::vector<uint8_t> memory;
  uint8_t* data;
  size_t size;
};
