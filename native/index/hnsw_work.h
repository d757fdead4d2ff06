// What one thread needs to search a graph; kept from one search to the next.
#pragma once
#include "base/top_k.h"
#include "index/hnsw_search.h"
#include "index/hnsw_space.h"
#include "index/hnsw_walk.h"

namespace annex {

struct HnswSearch::Work {
  struct Lane {
    WalkMemory walk;
    SpaceMemory space;
  };
  Lane lanes[kLanes];
  WalkMemory& walk = lanes[0].walk;  // of a search by itself
  SpaceMemory& space = lanes[0].space;
  Buffer<Neighbor> neighbors;
  Buffer<uint32_t> slots;
  Buffer<float> distances, estimates, decoded;
  // Of all queries of a scan by codes:
  Buffer<int8_t> queries;
  Buffer<uint64_t> keys;
};

}  // namespace annex
