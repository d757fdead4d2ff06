#pragma once

namespace annex::node {

/// Keeps this library mapped until the process ends. Node unloads an addon when the last worker that loaded it ends,
/// while threads of the core's pool may still run in it.
void pin_library();

}  // namespace annex::node
