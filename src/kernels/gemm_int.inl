// What it is: one block of c = activation(a b^T + bias) + residual where b is groups of integers: its packing, the
//   rounding of A to int8, and the product of some rows and some panels by one thread.
// Where it stands: src/kernels; beside gemm.inl, over the primitives `Dot` of vec_<isa>.hpp. The rule of the arithmetic
//   is with WeightFormat in kernels.hpp.
// Usage: fill_gemm_int(table) puts it into the table of its ISA.
#include "kernels/epilogue.inl"
#include "kernels/gemm_affine.inl"
#include "kernels/kernel_table.hpp"
#include "kernels/micro.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

// Units are those of gemm_affine.inl; of 4-bit weights two units a byte: unit i of a group in the low halves, unit i +
// units / 2 in the high ones. A panel is, group after group: units, scales [kPanel], offsets [kPanel].
constexpr int64_t kMostGroup = 256;

struct Geometry {
  int64_t groups, units, last_units;  // units of each group but the last, and of the last
  int64_t data_bytes;                 // of the units of a whole group in a panel
  int64_t scale_bytes;                // of the scales of a group, or the offsets
  int64_t group_bytes;                // data, scales and offsets of a whole group
  int64_t panel_bytes;
  int64_t row_units;  // of a row of A

  Geometry(int64_t k, const GemmWeight& w) {
    groups = ceil_of(k, w.group);
    units = w.group / kUnit;
    // 4-bit groups stay whole, so that their halves are; the rows of A are padded with zeros.
    last_units = groups == 0 ? 0 : w.bits == 4 ? units : ceil_of(k - (groups - 1) * w.group, kUnit);
    data_bytes = units * kUnitBytes * w.bits / 8;
    scale_bytes = kPanel * (w.half_scales ? 2 : 4);
    group_bytes = data_bytes + scale_bytes * (w.offsets ? 2 : 1);
    panel_bytes = groups * group_bytes - (units - last_units) * kUnitBytes * (groups == 0 ? 0 : w.bits) / 8;
    row_units = groups == 0 ? 0 : (groups - 1) * units + last_units;
  }
};

int64_t int_panel_bytes(int64_t k, const GemmWeight& weight) noexcept { return Geometry(k, weight).panel_bytes; }

// The data bytes of group g.
int64_t data_bytes(const Geometry& z, const GemmWeight& w, int64_t g) {
  return g + 1 < z.groups ? z.data_bytes : z.last_units * kUnitBytes * w.bits / 8;
}

// A unit as one number.
template <int64_t kBytes>
struct UnitNumber;
template <>
struct UnitNumber<1> {
  using Type = uint8_t;
};
template <>
struct UnitNumber<2> {
  using Type = uint16_t;
};
template <>
struct UnitNumber<4> {
  using Type = uint32_t;
};

void int_pack(const IntegerRows& rows, int64_t count, int64_t k, const GemmWeight& w, void* panel) noexcept {
  using Unit = UnitNumber<kUnit>::Type;
  const Geometry z(k, w);
  const int64_t scale = w.half_scales ? 2 : 4;
  const auto move = [&](char* to, const char* from) __attribute__((always_inline)) {
    if (scale == 2) {
      __builtin_memcpy(to, from, 2);
    } else {
      __builtin_memcpy(to, from, 4);
    }
  };
  for (int64_t g = 0; g < z.groups; ++g) {
    char* const data = static_cast<char*>(panel) + g * z.group_bytes;
    const int64_t bytes = data_bytes(z, w, g), first = g * w.group, left = k - first;
    const int64_t n = left < w.group ? left : w.group, half = z.units / 2;
    // What no row or no step of k fills is zero.
    if (count < kPanel || n < w.group) __builtin_memset(data, 0, bytes + scale * kPanel * (w.offsets ? 2 : 1));
    for (int64_t j = 0; j < count; ++j) {
      const uint8_t* from = rows.q + j * k + first;
      uint8_t padded[kMostGroup];
      if (n < w.group) {
        __builtin_memset(padded, 0, w.group);
        __builtin_memcpy(padded, from, n);
        from = padded;
      }
      const auto unit = [&](int64_t i) __attribute__((always_inline)) {
        Unit number;
        __builtin_memcpy(&number, from + i * kUnit, kUnit);
        return number;
      };
      const auto put = [&](int64_t i, Unit number) __attribute__((always_inline)) {
        __builtin_memcpy(data + (i * kPanel + j) * kUnit, &number, kUnit);
      };
      if (w.bits == 4) {
        for (int64_t i = 0; i < half; ++i) put(i, static_cast<Unit>(unit(i) | unit(i + half) << 4));
      } else {
        const int64_t units = g + 1 < z.groups ? z.units : z.last_units;
        for (int64_t i = 0; i < units; ++i) put(i, unit(i));
      }
      move(data + bytes + j * scale, rows.scales + (j * z.groups + g) * scale);
      if (w.offsets) move(data + bytes + z.scale_bytes + j * scale, rows.offsets + (j * z.groups + g) * scale);
    }
  }
}

void int_unpack(const void* panel, int64_t row, int64_t k, const GemmWeight& w, bool accumulate, float* out) noexcept {
  const Geometry z(k, w);
  for (int64_t g = 0; g < z.groups; ++g) {
    const char* const data = static_cast<const char*>(panel) + g * z.group_bytes;
    const char* const scales = data + data_bytes(z, w, g);
    float scale[kPanel], offset[kPanel];
    for (int64_t v = 0; v < kPanel; v += V::kWidth) {
      const int64_t at = v * (w.half_scales ? 2 : 4);
      V::store(scale + v,
               w.half_scales ? V::load_f16(scales + at) : V::load(reinterpret_cast<const float*>(scales + at)));
      if (!w.offsets) continue;
      const char* const offsets = scales + z.scale_bytes + at;
      V::store(offset + v, w.half_scales ? V::load_f16(offsets) : V::load(reinterpret_cast<const float*>(offsets)));
    }
    const int64_t first = g * w.group, left = k - first, n = left < w.group ? left : w.group, half = z.units / 2;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t unit = i / kUnit;
      const int64_t at = ((w.bits == 4 ? unit % half : unit) * kPanel + row) * kUnit + i % kUnit;
      int q = static_cast<unsigned char>(data[at]);
      if (w.bits == 4) q = unit < half ? q & 15 : q >> 4;
      const float x =
          w.offsets ? static_cast<float>(q) * scale[row] + offset[row] : static_cast<float>(q - w.zero) * scale[row];
      out[first + i] = accumulate ? out[first + i] + x : x;
    }
  }
}

// ---- A --------------------------------------------------------------------------------------------------------------

// The copy of a block of rows is in quads, as those of micro.inl: four units of the first row, the same four of the
// second, ... of the last, the next four of the first. So are, behind the units, the scales t of the groups, and what
// the sum S of a group's integers is needed for: -zero * S as int32, or t * S as float where there are offsets.
constexpr int64_t kQuad = 4 * kUnit;  // elements

// Of a row: units, up to whole quads and vectors, and groups.
int64_t units_copied(const Geometry& z) {
  constexpr int64_t kMost = V::kWidth > kQuad ? V::kWidth / kUnit : 4;
  return ceil_of(z.row_units, kMost) * kMost;
}
int64_t groups_copied(const Geometry& z) { return ceil_of(z.groups, 4) * 4; }
int64_t int_copy_row(const Geometry& z) { return units_copied(z) + 2 * groups_copied(z); }  // floats of a row
int64_t int_copy_floats(int64_t rows, int64_t k, const GemmWeight& weight) noexcept {
  return rows * int_copy_row(Geometry(k, weight));
}

// Rounds x [k], one of `rows` rows, to its first quad of each of the three parts and on. Step by step for some groups,
// so that nothing waits for the end of one reduction or division.
template <int64_t kGroup>
void round_row(const float* x, int64_t k, const Geometry& z, const GemmWeight& w, int64_t rows, D::Element* units,
               float* scales, int32_t* sums) {
  using Reg = V::Reg;
  constexpr int64_t kSome = 32;
  const int64_t end = units_copied(z) * kUnit;
  for (int64_t g0 = 0; g0 < z.groups; g0 += kSome) {
    const int64_t some = z.groups - g0 < kSome ? z.groups - g0 : kSome;
    alignas(64) float largest[kSome] = {}, inverse[kSome], scale[kSome] = {};
    alignas(64) int32_t sum[kSome] = {};
    const auto find = [&](int64_t g, int64_t n, auto load) __attribute__((always_inline)) {
      Reg most[4];
#pragma GCC unroll 4
      for (int64_t j = 0; j < 4; ++j) {
        most[j] = V::zero();
        for (int64_t i = 0; j < n && i < kGroup; i += V::kWidth) {
          most[j] = V::above(most[j], V::abs(load((g + j) * kGroup + i)));
        }
      }
      V::store_largest(largest + g - g0, most);
    };
    each_four_groups<kGroup>(x, k, g0, g0 + some, find);
    for (int64_t g = 0; g < some; g += V::kWidth) {
      const Reg top = V::load(largest + g), least = V::set1(1e-36f), most = V::set1(127.0f);
      // So small that 127 / top overflows: zeros. Where top is not finite the scale is NaN, and the sums of this row.
      V::store(inverse + g, V::select_less(least, top, V::div(most, top), V::zero()));
      V::store(scale + g, V::add(V::select_less(least, top, V::div(top, most), V::zero()), V::sub(top, top)));
    }
    const auto round = [&](int64_t g, int64_t n, auto load) __attribute__((always_inline)) {
      D::Acc total[4];
#pragma GCC unroll 4
      for (int64_t j = 0; j < 4; ++j) {
        total[j] = D::zero();
        const Reg factor = V::set1(inverse[g - g0 + j]);
        for (int64_t i = 0; j < n && i < kGroup; i += V::kWidth) {
          const int64_t at = (g + j) * kGroup + i;
          const D::Acc y = D::round(V::mul(load(at), factor));
          total[j] = D::add(total[j], y);
          if (at < end) D::store(units + at / kQuad * kQuad * rows + at % kQuad, kQuad * rows, y);
        }
      }
      D::store_sums(sum + g - g0, total);
    };
    each_four_groups<kGroup>(x, k, g0, g0 + some, round);
    for (int64_t g = 0; g < kSome; ++g) {
      if (w.offsets) {
        const float product = scale[g] * static_cast<float>(sum[g]);
        __builtin_memcpy(sum + g, &product, 4);
      } else {
        sum[g] = static_cast<int32_t>(0u - static_cast<uint32_t>(w.zero) * static_cast<uint32_t>(sum[g]));
      }
    }
    for (int64_t g = 0; g < some; g += 4) {
      __builtin_memcpy(scales + (g0 + g) * rows, scale + g, 16);
      __builtin_memcpy(sums + (g0 + g) * rows, sum + g, 16);
    }
  }
}

void int_copy(const float* a, int64_t lda, int64_t rows, int64_t k, const GemmWeight& w, float* to) noexcept {
  const Geometry z(k, w);
  const int64_t blocks = block_count(rows), per_row = int_copy_row(z);
  const auto round = w.group == 16 ? round_row<16> : round_row<32>;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t r0 = b * rows / blocks, r1 = (b + 1) * rows / blocks, count = r1 - r0;
    float* const units = to + r0 * per_row;
    float* const scales = units + count * units_copied(z);
    float* const sums = scales + count * groups_copied(z);
    for (int64_t r = 0; r < count; ++r) {
      round(a + (r0 + r) * lda, k, z, w, count, reinterpret_cast<D::Element*>(units + 4 * r), scales + 4 * r,
            reinterpret_cast<int32_t*>(sums + 4 * r));
    }
  }
}

// ---- the product ----------------------------------------------------------------------------------------------------

struct IntArgs {
  // Of the copy, three parts in quads.
  const char* a;
  const char* scales;
  const char* sums;
  const char* b;  // units of group 0
  int64_t b_group;
  const char* b_scales;                   // scales of group 0
  int64_t b_scales_group, b_scales_last;  // bytes from group to group, and of the last from the one before
  Geometry z;
  const GemmWeight* weight;
  float* tile;  // [rows, kPanel]
  // For every four units, `prefetch_lines` cache lines from here on are fetched for later.
  const char* prefetch;
  int64_t prefetch_lines;
};

template <int kRows, int kBits>
void int_tile(const IntArgs& args) {
  using Reg = V::Reg;
  using Acc = D::Acc;
  constexpr int64_t kVector = V::kWidth * kUnit;  // bytes
  const Geometry& z = args.z;
  const GemmWeight& w = *args.weight;
  const char* a = args.a;
  const char* prefetch = args.prefetch;
  const int64_t lines = args.prefetch_lines;
  [[maybe_unused]] Reg total[kRows][kTileVectors];
  if constexpr (kSumsInRegisters) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) total[r][v] = V::zero();
    }
  }
  for (int64_t g = 0; g < z.groups; ++g) {
    const int64_t units = g + 1 < z.groups ? z.units : z.last_units;
    const char* b = args.b + g * args.b_group;
    const int64_t quad = (g & ~int64_t{3}) * kRows * 4 + (g & 3) * 4;
    const int32_t* const starts = reinterpret_cast<const int32_t*>(args.sums + quad);
    Acc sum[kRows][kTileVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = w.offsets ? D::zero() : D::set1(starts[4 * r]);
    }
    const auto rows_times = [&](const char* x, const D::Word(&row)[kTileVectors]) __attribute__((always_inline)) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) sum[r][v] = D::dot(x + 16 * r, row[v], sum[r][v]);
      }
    };
    const auto fetch = [&]() __attribute__((always_inline)) {
      for (int64_t line = 0; line < lines; ++line) V::prefetch(prefetch + line * 64);
      prefetch += lines * 64;
    };
    D::Word row[kTileVectors];
    if constexpr (kBits == 8) {
      const auto step = [&](int64_t i) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) row[v] = D::load(b + i * kUnitBytes + v * kVector);
        rows_times(a + i * 4, row);
      };
      int64_t u = units;
      for (; u >= 4; u -= 4) {
        fetch();
        step(0);
        step(1);
        step(2);
        step(3);
        a += kRows * 16;
        b += 4 * kUnitBytes;
        TCPP_OPAQUE(a);
      }
      for (int64_t i = 0; i < u; ++i) step(i);
    } else {
      const char* upper = a + units * kRows * 2;
      const auto step = [&](int64_t i) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) row[v] = D::low_half(D::load(b + i * kUnitBytes + v * kVector));
        rows_times(a + i * 4, row);
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) row[v] = D::high_half(D::load(b + i * kUnitBytes + v * kVector));
        rows_times(upper + i * 4, row);
      };
      for (int64_t u = units / 2; u > 0; u -= 4) {
        fetch();
        step(0);
        step(1);
        step(2);
        step(3);
        a += kRows * 16;
        upper += kRows * 16;
        b += 4 * kUnitBytes;
      }
      a = upper;
    }
    // Into the tile: float(sum) * (s * t) on top of the groups before.
    const char* const s = args.b_scales + g * args.b_scales_group - (g + 1 < z.groups ? 0 : args.b_scales_last);
    const float* const t = reinterpret_cast<const float*>(args.scales + quad);
    const float* const t_sums = reinterpret_cast<const float*>(args.sums + quad);
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      const auto vector_of = [&](const char* p) __attribute__((always_inline)) {
        return w.half_scales ? V::load_f16(p + v * V::kWidth * 2)
                             : V::load(reinterpret_cast<const float*>(p + v * V::kWidth * 4));
      };
      const Reg scale = vector_of(s);
      const Reg offset = w.offsets ? vector_of(s + z.scale_bytes) : V::zero();
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        float* const to = args.tile + r * kPanel + v * V::kWidth;
        Reg x = V::zero();
        if constexpr (kSumsInRegisters) {
          x = total[r][v];
        } else if (g > 0) {
          x = V::load(to);
        }
        x = V::fma(D::to_float(sum[r][v]), V::mul(scale, V::set1(t[4 * r])), x);
        if (w.offsets) x = V::fma(offset, V::set1(t_sums[4 * r]), x);
        if constexpr (kSumsInRegisters) {
          total[r][v] = x;
        } else {
          V::store(to, x);
        }
      }
    }
  }
  if constexpr (kSumsInRegisters) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) V::store(args.tile + r * kPanel + v * V::kWidth, total[r][v]);
    }
  }
}

template <int kBits, int kRows = 1>
TCPP_INLINE void int_rows(int64_t rows, const IntArgs& args) {
  if constexpr (kRows < kIntRows) {
    if (rows != kRows) return int_rows<kBits, kRows + 1>(rows, args);
  }
  int_tile<kRows, kBits>(args);
}

constexpr int64_t kTileFloats = int64_t{kIntRows} * kPanel;

// With several blocks of rows, 4-bit weights are taken apart once.
int64_t int_scratch(int64_t rows, int64_t, int64_t k, const GemmWeight& weight) noexcept {
  const bool split = weight.bits == 4 && rows > kIntRows;
  return kTileFloats + (split ? Geometry(k, weight).row_units * kUnitBytes / 4 : 0);
}

void int_block(const GemmBlock& g) noexcept {
  const Geometry z(g.k, g.weight);
  const int64_t blocks = block_count(g.rows), per_row = int_copy_row(z);
  float* const tile = g.scratch;
  char* const split = reinterpret_cast<char*>(g.scratch + kTileFloats);
  const int64_t lines = ((4 * kUnitBytes + 63) / 64 + blocks - 1) / blocks;
  const bool split_first = g.weight.bits == 4 && blocks > 1;
  for (int64_t p = 0; p < g.panels; ++p) {
    const char* const panel = static_cast<const char*>(g.b) + p * z.panel_bytes;
    if (split_first) {
      for (int64_t i = 0; i < z.groups; ++i) {
        const char* const from = panel + i * z.group_bytes;
        char* const to = split + i * 2 * z.data_bytes;
        for (int64_t at = 0; at < z.data_bytes; at += V::kWidth * kUnit) {
          const D::Word word = D::load(from + at);
          D::store_word(to + at, D::low_half(word));
          D::store_word(to + z.data_bytes + at, D::high_half(word));
        }
      }
    }
    const char* const next = blocks > 1 ? panel + z.panel_bytes : panel + kIntAhead;
    const int64_t column = p * kPanel;
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t r0 = i * g.rows / blocks, rows = (i + 1) * g.rows / blocks - r0;
      const float* const copy = g.a + r0 * per_row;
      const IntArgs args = {
          .a = reinterpret_cast<const char*>(copy),
          .scales = reinterpret_cast<const char*>(copy + rows * units_copied(z)),
          .sums = reinterpret_cast<const char*>(copy + rows * (units_copied(z) + groups_copied(z))),
          .b = split_first ? split : panel,
          .b_group = split_first ? 2 * z.data_bytes : z.group_bytes,
          .b_scales = panel + z.data_bytes,
          .b_scales_group = z.group_bytes,
          .b_scales_last = (z.units - z.last_units) * kUnitBytes * g.weight.bits / 8,
          .z = z,
          .weight = &g.weight,
          .tile = tile,
          .prefetch = next + i * lines * 64 * (z.row_units / 4),
          .prefetch_lines = lines,
      };
      const Epilogue epilogue = epilogue_of(g, r0, rows, column, tile);
      fetch(epilogue);
      if (g.weight.bits == 4 && !split_first) {
        int_rows<4>(rows, args);
      } else {
        int_rows<8>(rows, args);
      }
      if (!kSumsInRegisters && z.groups == 0) {
        for (int64_t at = 0; at < rows * kPanel; ++at) tile[at] = 0.0f;
      }
      finish(g.activation, epilogue);
    }
  }
}

}  // namespace

void fill_gemm_int(KernelTable& table) noexcept {
  table.gemm[kIntegers] = {.mr = kIntRows,
                           .nr = kPanel,
                           .step = kUnit,
                           .panel_bytes = int_panel_bytes,
                           .most_copied = 512 * 1024 / 4,
                           .copied_once = false,
                           .scratch = int_scratch,
                           .copy_floats = int_copy_floats,
                           .copy = int_copy,
                           .block = int_block,
                           .pack = int_pack,
                           .unpack = int_unpack,
                           .peak = int_peak};
  fill_gemm_affine(table);
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
