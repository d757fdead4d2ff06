// What all trainings share: they go in steps, so that a writer can yield between them and an abort waits for little.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/steps.h"

namespace annex {

/// How far a training is, after a step.
struct TrainProgress {
  double done = 0;  // in units of the whole
  double total = 1;
  bool finished = false;
  bool rotating = false;  // at the rotation that precedes codebooks
};

/// Multiply-adds of one step. Where steps end has no influence on what is computed.
inline constexpr double kStepWork = 0x1p30 / kStepParts;

}  // namespace annex
