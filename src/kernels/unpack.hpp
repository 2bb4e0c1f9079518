// What it is: packed weights taken apart again.
// Where it stands: src/kernels; saving a model reads its weights through it.
// Usage: `unpack_rows(weight.view(), 0, weight.out_features, bytes);`
#pragma once

#include <cstdint>

#include "transformers/kernels/kernels.hpp"

namespace transformers {

// Rows [row_begin, row_begin + rows) of a weight [n, k] into `out` [rows, k], row-major: the very elements that
// pack_rows was given, f32, f16 or bf16 (bf16_dot too); integers as the float32 numbers they stand for.
void unpack_rows(const PackedMatrix& weight, int64_t row_begin, int64_t rows, void* out);

}  // namespace transformers
