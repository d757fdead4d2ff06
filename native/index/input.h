// Checks of what a caller hands in, the same for rows and queries.
#pragma once
#include "index/index.h"
#include "index/row_store.h"

namespace annex {

/// The type of rows and queries that an index of this shape takes.
Input input_of(const RowShape& shape);

/// INVALID_TYPE for another type, NOT_FINITE naming `what`, its number (from `named_from` on) and the column.
Status check_input(const RowShape& shape, Input type, const char* what, const void* rows, size_t n, size_t named_from);

}  // namespace annex
