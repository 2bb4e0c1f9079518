// What it is: the rest of an encoder's last layer, behind its attention, for those rows alone that a head reads.
// Where it stands: nn; the layers of encoders end in it. Three quarters of a layer's products are behind its attention.
// Usage: `finish_rows(rows, tokens, hidden, width, qkv, 3 * width, [&](int64_t count) { finish(hidden, count); });`
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace transformers {

// Calls finish(count) on the rows of hidden [tokens, hidden_size] and of the context (the same columns of rows
// `context_stride` floats apart) that `rows` names, brought to the front and taken back afterwards. `rows` must rise;
// negative ones, of sequences that have none, are passed over. Without any, all rows are finished where they are. The
// other rows of hidden are then without meaning.
template <class Finish>
void finish_rows(std::span<const int32_t> rows, int64_t tokens, float* hidden, int64_t hidden_size, float* context,
                 int64_t context_stride, Finish finish) {
  if (rows.empty()) return finish(tokens);
  const auto move = [&](float* data, int64_t stride, int64_t from, int64_t to) {
    if (from != to) std::copy_n(data + from * stride, hidden_size, data + to * stride);
  };
  // None comes before its place at the front: nothing is overwritten that is still to be read, there and back.
  int64_t count = 0;
  for (const int32_t row : rows) {
    if (row < 0) continue;
    move(hidden, hidden_size, row, count);
    move(context, context_stride, row, count);
    ++count;
  }
  finish(count);
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    if (*row >= 0) move(hidden, hidden_size, --count, *row);
  }
}

}  // namespace transformers
