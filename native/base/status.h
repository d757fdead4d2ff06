// Status codes, and the message of the calling thread's last failure. The numbers are those of AnnexStatus
// (api/annex.h), where a static_assert keeps the two in step.
#pragma once
#include <cstddef>
#include <cstdint>

namespace annex {

enum class [[nodiscard]] Status : int32_t{
    ok = 0,
    invalid_argument = 1,
    invalid_type = 2,
    dimension_mismatch = 3,
    not_finite = 4,
    invalid_id = 5,
    duplicate_id = 6,
    closed = 7,
    busy = 8,
    aborted = 9,
    out_of_memory = 10,
    unsupported = 11,
    not_trained = 12,
    corrupt = 13,
    io = 14,
    internal = 15,
};

#if defined(__GNUC__)
#define ANNEX_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define ANNEX_PRINTF(format_index, first)
#endif

/// Keeps the formatted message for last_error() of this thread and returns `status`.
Status fail(Status status, const char* format, ...) ANNEX_PRINTF(2, 3);

/// fail(out_of_memory) with the size that could not be had.
Status out_of_memory(size_t bytes);

/// Message of this thread's last failure; "" before the first.
const char* last_error();

/// True when the flag (may be null) that another thread may set is set.
bool cancelled(const int32_t* flag);

/// fail(aborted) with the one message all aborts share.
Status aborted();

}  // namespace annex
