// Implements pack.hpp.
#include "models/pack.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/tensor/blocks.hpp"

namespace transformers {
namespace {

using Kind = WeightFormat::Kind;

bool is_integers(const WeightFormat& format) { return format.kind == Kind::integers; }

void add_to_all(uint8_t* q, int64_t count, int number) {
  if (number == 0) return;
  for (int64_t i = 0; i < count; ++i) q[i] = static_cast<uint8_t>(q[i] + number);
}

// The integers q [rows, k] of rows [begin, end) of a part whose stored format is of integers, as they are.
void read_integers(const MatrixPart& part, const WeightFormat& stored, int64_t begin, int64_t end, int64_t k,
                   uint8_t* q) {
  const int64_t rows = end - begin, count = rows * k;
  const Tensor source = part.weight.slice(begin, end);
  const auto* bytes = static_cast<const uint8_t*>(source.raw());
  if (is_block_format(source.dtype())) {
    decode_blocks(source.dtype(), bytes, count, reinterpret_cast<int8_t*>(q), nullptr, nullptr);
    add_to_all(q, count, stored.offsets ? 0 : stored.zero);
  } else if (source.dtype() == DType::i8) {
    for (int64_t i = 0; i < count; ++i) q[i] = static_cast<uint8_t>(bytes[i] ^ 0x80u);  // plus 128
  } else {
    for (int64_t r = 0; r < rows; ++r, q += k, bytes += (k + 1) / 2) {
      for (int64_t i = 0; i + 1 < k; i += 2) {
        q[i] = static_cast<uint8_t>(bytes[i / 2] & 15), q[i + 1] = static_cast<uint8_t>(bytes[i / 2] >> 4);
      }
      if (k % 2 != 0) q[k - 1] = static_cast<uint8_t>(bytes[k / 2] & 15);
    }
  }
}

// Scales and offsets of integers, [rows, groups].
struct Scales {
  std::vector<float> scales, offsets;
};
Scales read_scales(const MatrixPart& part, const WeightFormat& stored, int64_t begin, int64_t end, int64_t k) {
  const int64_t count = (end - begin) * stored.scales_of(k);
  Scales out;
  out.scales.resize(static_cast<std::size_t>(count)), out.offsets.resize(out.scales.size());
  if (is_block_format(part.weight.dtype())) {
    const Tensor source = part.weight.slice(begin, end);
    decode_blocks(source.dtype(), source.raw(), (end - begin) * k, nullptr, out.scales.data(), out.offsets.data());
  } else {
    widen(part.scales.dtype(), part.scales.slice(begin, end).raw(), count, out.scales.data());
    if (stored.offsets) widen(DType::f16, part.offsets.slice(begin, end).raw(), count, out.offsets.data());
  }
  return out;
}

// The same as bytes, for a format that holds them without loss.
void convert_scales(const MatrixPart& part, const WeightFormat& stored, const WeightFormat& to, int64_t begin,
                    int64_t end, int64_t k, std::byte* scales, std::byte* offsets) {
  const int64_t rows = end - begin, groups = to.scales_of(k), stored_groups = stored.scales_of(k);
  if (stored.half_scales && to.half_scales && stored.group == to.group && stored.offsets == to.offsets) {
    if (is_block_format(part.weight.dtype())) {
      return copy_half_scales(part.weight.dtype(), part.weight.slice(begin, end).raw(), rows * k, scales, offsets);
    }
    const auto bytes = static_cast<std::size_t>(rows * groups * 2);
    std::memcpy(scales, part.scales.slice(begin, end).raw(), bytes);
    if (to.offsets) std::memcpy(offsets, part.offsets.slice(begin, end).raw(), bytes);
    return;
  }
  const Scales from = read_scales(part, stored, begin, end, k);
  const auto put = [&](std::byte* list, int64_t at, float value) {
    if (to.half_scales) {
      const uint16_t half = float_to_half(value);
      std::memcpy(list + at * 2, &half, 2);
    } else {
      std::memcpy(list + at * 4, &value, 4);
    }
  };
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t g = 0; g < groups; ++g) {
      const auto source = static_cast<std::size_t>(r * stored_groups + g * to.group / stored.group);
      const float scale = from.scales[source];
      put(scales, r * groups + g, scale);
      if (to.offsets) {
        put(offsets, r * groups + g, stored.offsets ? from.offsets[source] : -static_cast<float>(stored.zero) * scale);
      }
    }
  }
}

// The smallest format of integers that holds both without loss.
WeightFormat both(const WeightFormat& a, const WeightFormat& b) {
  if (a == b) return a;
  WeightFormat format = a;
  format.bits = std::max(a.bits, b.bits);
  format.group = std::min(a.group, b.group);
  format.affine = false;  // not both are
  format.offsets = a.offsets || b.offsets;
  format.zero = a.offsets == b.offsets && a.zero == b.zero ? a.zero : format.offsets ? 0 : 128;
  if (!format.offsets && format.zero == 128) format.bits = 8;
  // An offset made from a scale need not fit f16.
  format.half_scales = a.half_scales && b.half_scales && a.offsets == b.offsets;
  return format;
}

uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits | 0x400000u) >> 16);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// The type of the elements that pack_rows takes for a format of floats.
DType element_of(const WeightFormat& format) {
  return format.kind == Kind::f32 ? DType::f32 : format.kind == Kind::f16 ? DType::f16 : DType::bf16;
}

// Calls f(part, first row of it, one behind its last, rows of the slice before it) for the parts of rows [begin, end).
template <class F>
void for_parts(std::span<const MatrixPart> parts, int64_t begin, int64_t end, F f) {
  int64_t first = 0;
  for (const MatrixPart& part : parts) {
    const int64_t b = std::max(begin, first), e = std::min(end, first + part.rows());
    if (b < e) f(part, b - first, e - first, b - begin);
    first += part.rows();
  }
}

void pack_floats(std::span<const MatrixPart> parts, const WeightFormat& format, int64_t begin, int64_t end, int64_t n,
                 int64_t k, std::byte* packed) {
  const DType element = element_of(format);
  const std::size_t row_bytes = static_cast<std::size_t>(k) * dtype_size(element);
  bool done = false;
  std::vector<std::byte> rows;
  for_parts(parts, begin, end, [&](const MatrixPart& part, int64_t b, int64_t e, int64_t at) {
    const Tensor source = part.weight.slice(b, e);
    const bool as_stored = source.dtype() == element;
    if (as_stored && e - b == end - begin) {
      pack_rows(format, source.raw(), k, begin, end - begin, n, k, packed);
      done = true;
      return;
    }
    rows.resize(static_cast<std::size_t>(end - begin) * row_bytes);
    std::byte* to = rows.data() + static_cast<std::size_t>(at) * row_bytes;
    if (as_stored) {
      std::memcpy(to, source.raw(), source.bytes());
      return;
    }
    std::vector<float> wide(static_cast<std::size_t>((e - b) * k));
    rows_to_float(part, b, e, wide.data());
    if (element == DType::f32) {
      std::memcpy(to, wide.data(), wide.size() * sizeof(float));
    } else {
      for (std::size_t i = 0; i < wide.size(); ++i) {
        const uint16_t half = to_bf16(wide[i]);
        std::memcpy(to + 2 * i, &half, 2);
      }
    }
  });
  if (!done) pack_rows(format, rows.data(), k, begin, end - begin, n, k, packed);
}

// The integers of rows [begin, end) of a part in `format`: q [rows, k], scales and offsets [rows, groups] as bytes.
// Those of the file where the format holds them without loss, else its numbers rounded.
void fill_integers(const MatrixPart& part, const WeightFormat& format, int64_t begin, int64_t end, uint8_t* q,
                   std::byte* scales, std::byte* offsets) {
  const WeightFormat stored = part.stored();
  if (is_integers(stored) && both(stored, format) == format) {
    read_integers(part, stored, begin, end, part.k, q);
    add_to_all(q, (end - begin) * part.k, format.offsets || stored.offsets ? 0 : format.zero - stored.zero);
    return convert_scales(part, stored, format, begin, end, part.k, scales, offsets);
  }
  std::vector<float> wide(static_cast<std::size_t>((end - begin) * part.k));
  rows_to_float(part, begin, end, wide.data());
  quantize_rows(format, wide.data(), end - begin, part.k, q, scales, offsets);
}

void pack_integers(std::span<const MatrixPart> parts, const WeightFormat& format, int64_t begin, int64_t end, int64_t n,
                   int64_t k, std::byte* packed) {
  const int64_t groups = format.scales_of(k), scale_bytes = groups * (format.half_scales ? 2 : 4);
  // Kept by each thread: fresh memory for every slice would cost as much as filling it.
  static thread_local std::vector<std::byte> scratch;
  const int64_t rows = end - begin, q_bytes = (rows * k + 3) / 4 * 4, all_scales = rows * scale_bytes;
  const auto bytes = static_cast<std::size_t>(q_bytes + all_scales * (format.offsets ? 2 : 1));
  if (scratch.size() < bytes) scratch.resize(bytes);
  auto* const q = reinterpret_cast<uint8_t*>(scratch.data());
  std::byte* const scales = scratch.data() + q_bytes;
  std::byte* const offsets = format.offsets ? scales + all_scales : nullptr;
  for_parts(parts, begin, end, [&](const MatrixPart& part, int64_t b, int64_t e, int64_t at) {
    fill_integers(part, format, b, e, q + at * k, scales + at * scale_bytes,
                  format.offsets ? offsets + at * scale_bytes : nullptr);
  });
  pack_rows(format, QuantizedRows{q, scales, offsets}, begin, rows, n, k, packed);
}

}  // namespace

PackedMemory::PackedMemory(int64_t expected_bytes)
    : piece_bytes_(static_cast<std::size_t>(std::clamp<int64_t>(expected_bytes, 0, int64_t{32} << 20))) {}

std::shared_ptr<std::byte> PackedMemory::take(std::size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (bytes > piece_bytes_) return allocate_bytes(bytes);
  if (bytes > left_) {
    piece_ = allocate_bytes(piece_bytes_);
    used_ = 0, left_ = piece_bytes_;
  }
  std::shared_ptr<std::byte> memory(piece_, piece_.get() + used_);
  used_ += bytes, left_ -= bytes;
  return memory;
}

// [n, k] -> [k, n]
Tensor transpose(const Tensor& tensor) {
  const int64_t n = tensor.dim(0), k = tensor.dim(1);
  const std::size_t element = dtype_size(tensor.dtype());
  Tensor out = Tensor::zeros(tensor.dtype(), {k, n});
  const auto* from = static_cast<const std::byte*>(tensor.raw());
  auto* to = static_cast<std::byte*>(const_cast<void*>(out.raw()));
  // Squares that fit the cache, whichever way the rows run.
  constexpr int64_t kSquare = 32;
  parallel_for((k + kSquare - 1) / kSquare, [&](int64_t square) {
    for (int64_t i0 = 0; i0 < n; i0 += kSquare) {
      for (int64_t j = square * kSquare; j < std::min(k, (square + 1) * kSquare); ++j) {
        for (int64_t i = i0; i < std::min(n, i0 + kSquare); ++i) {
          std::memcpy(to + static_cast<std::size_t>(j * n + i) * element,
                      from + static_cast<std::size_t>(i * k + j) * element, element);
        }
      }
    }
  });
  return out;
}

WeightFormat stored_integers(DType integers, DType scales) {
  if (integers == DType::u8) return WeightFormat::q4();
  return scales == DType::f32 ? WeightFormat::affine_q8() : WeightFormat::q8();
}

WeightFormat MatrixPart::stored() const {
  if (scales.defined()) return stored_integers(weight.dtype(), scales.dtype());
  return weight.dtype() == DType::f64 ? DType::f32 : weight.dtype();
}

WeightFormat choose_format(std::span<const MatrixPart> parts, WeightType wanted, MatrixRole role) {
  // What has 8 bits by groups of 32, as GGUF does, is finer than what would become of it.
  const auto is_fine = [](const MatrixPart& part) { return part.stored() == WeightFormat::q8(); };
  const bool fine = role.fine_groups || std::ranges::all_of(parts, is_fine);
  const WeightFormat eight_bits = fine ? WeightFormat::q8() : WeightFormat::affine_q8();

  switch (wanted) {
    case WeightType::bf16:
      return WeightFormat::bf16_dot();
    case WeightType::q8:
      return eight_bits;
    case WeightType::q4:
      return role.over_vocabulary ? eight_bits : WeightFormat::q4();
    case WeightType::stored:
    case WeightType::fp32:
      break;
  }
  WeightFormat format = parts.front().stored();
  for (const MatrixPart& part : parts) {
    const WeightFormat stored = part.stored();
    if (is_integers(format) && is_integers(stored)) {
      format = both(format, stored);
    } else if (stored != format) {
      return DType::f32;
    }
  }
  return wanted == WeightType::fp32 && is_integers(format) ? WeightFormat(DType::f32) : format;
}

void rows_to_float(const MatrixPart& part, int64_t begin, int64_t end, float* out) {
  if (!part.scales.defined()) {
    const Tensor wide = part.weight.slice(begin, end).to_float32();
    std::memcpy(out, wide.raw(), wide.bytes());
    return;
  }
  const WeightFormat stored = part.stored();
  std::vector<uint8_t> q(static_cast<std::size_t>((end - begin) * part.k));
  read_integers(part, stored, begin, end, part.k, q.data());
  const Scales slice = read_scales(part, stored, begin, end, part.k);
  const int64_t groups = stored.scales_of(part.k);
  for (int64_t r = 0; r < end - begin; ++r) {
    for (int64_t i = 0; i < part.k; ++i) {
      const auto at = static_cast<std::size_t>(r * part.k + i);
      const auto g = static_cast<std::size_t>(r * groups + i / stored.group);
      out[at] = stored.offsets ? static_cast<float>(q[at]) * slice.scales[g] + slice.offsets[g]
                               : static_cast<float>(q[at] - stored.zero) * slice.scales[g];
    }
  }
}

MatrixPart quantize_matrix(const MatrixPart& matrix, const WeightFormat& format) {
  const int64_t n = matrix.rows(), k = matrix.k, groups = format.scales_of(k);
  const int64_t row_bytes = format.bits == 4 ? (k + 1) / 2 : k;
  MatrixPart part{.weight = Tensor::zeros(format.bits == 4 ? DType::u8 : DType::i8, {n, row_bytes}), .k = k};
  part.scales = Tensor::zeros(format.half_scales ? DType::f16 : DType::f32, {n, groups});
  if (format.offsets) part.offsets = Tensor::zeros(DType::f16, {n, groups});
  auto* const bytes = static_cast<uint8_t*>(const_cast<void*>(part.weight.raw()));
  const auto row_of = [&](const Tensor& list, int64_t row) {
    auto* const begin = static_cast<std::byte*>(const_cast<void*>(list.raw()));
    return list.defined() ? begin + row * groups * static_cast<int64_t>(dtype_size(list.dtype())) : nullptr;
  };
  const int64_t step = std::max<int64_t>(1, (int64_t{1} << 18) / std::max<int64_t>(k, 1));
  parallel_for((n + step - 1) / step, [&](int64_t task) {
    const int64_t begin = task * step, end = std::min(n, begin + step);
    std::vector<uint8_t> q(static_cast<std::size_t>((end - begin) * k));
    fill_integers(matrix, format, begin, end, q.data(), row_of(part.scales, begin), row_of(part.offsets, begin));
    for (int64_t r = 0; r < end - begin; ++r) {
      uint8_t* const to = bytes + (begin + r) * row_bytes;
      for (int64_t i = 0; i < k; ++i) {
        const uint8_t value = q[static_cast<std::size_t>(r * k + i)];
        if (format.bits == 4) {
          to[i / 2] = static_cast<uint8_t>(to[i / 2] | (i % 2 == 0 ? value : value << 4));
        } else {
          to[i] = static_cast<uint8_t>(value ^ 0x80u);  // minus 128
        }
      }
    }
  });
  return part;
}

Tensor round_to_bf16(const Tensor& tensor) {
  if (tensor.dtype() == DType::bf16) return tensor;
  const Tensor wide = tensor.to_float32();
  Tensor out = Tensor::zeros(DType::bf16, tensor.shape());
  const auto* from = wide.data<float>();
  auto* const to = out.mutable_data<uint16_t>();
  constexpr int64_t kStep = 1 << 18;
  parallel_for((wide.size() + kStep - 1) / kStep, [&](int64_t task) {
    for (int64_t i = task * kStep; i < std::min(wide.size(), (task + 1) * kStep); ++i) to[i] = to_bf16(from[i]);
  });
  return out;
}

std::shared_ptr<const std::byte> pack_parts(std::span<const MatrixPart> parts, const PackedWeight& weight,
                                            const WeightSource& source, PackedMemory& memory) {
  const int64_t n = weight.out_features, k = weight.in_features;
  std::shared_ptr<std::byte> packed = memory.take(packed_bytes(weight.format, n, k));
  // About a quarter MiB a task: little enough for the first-level caches and to keep threads busy with small matrices.
  const int64_t panel = panel_rows(weight.format), panel_bytes = panel * k * (is_integers(weight.format) ? 1 : 4);
  const int64_t step = panel * std::max<int64_t>(1, (int64_t{1} << 18) / std::max<int64_t>(panel_bytes, 1));
  const auto release = [&](const MatrixPart& part, int64_t begin, int64_t end) {
    for (const Tensor* tensor : {&part.weight, &part.scales, &part.offsets}) {
      if (tensor->defined()) source.release(tensor->slice(begin, end));
    }
  };
  parallel_for((n + step - 1) / step, [&](int64_t task) {
    const int64_t begin = task * step, end = std::min(n, begin + step);
    if (is_integers(weight.format)) {
      pack_integers(parts, weight.format, begin, end, n, k, packed.get());
    } else {
      pack_floats(parts, weight.format, begin, end, n, k, packed.get());
    }
    for_parts(parts, begin, end, [&](const MatrixPart& part, int64_t b, int64_t e, int64_t) { release(part, b, e); });
  });
  // Reading a slice brings pages before it back: the system maps several at a time.
  for_parts(parts, 0, n, [&](const MatrixPart& part, int64_t b, int64_t e, int64_t) { release(part, b, e); });
  return packed;
}

}  // namespace transformers
