// Implements cpu.hpp.
#include "kernels/cpu.hpp"

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif

namespace transformers {
namespace {

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(uint32_t leaf, uint32_t subleaf = 0) noexcept {
  Leaf r;
#ifdef _MSC_VER
  int v[4];
  __cpuid(v, 0);
  if (static_cast<uint32_t>(v[0]) < leaf) return r;
  __cpuidex(v, static_cast<int>(leaf), static_cast<int>(subleaf));
  r = {static_cast<uint32_t>(v[0]), static_cast<uint32_t>(v[1]), static_cast<uint32_t>(v[2]),
       static_cast<uint32_t>(v[3])};
#else
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
#endif
  return r;
}

// The register states that the system saves on a context switch (XCR0).
uint64_t enabled_states() noexcept {
#ifdef _MSC_VER
  return _xgetbv(0);
#else
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

constexpr bool bit(uint64_t word, int index) noexcept { return ((word >> index) & 1) != 0; }

}  // namespace

CpuFeatures cpu_features() noexcept {
  CpuFeatures features;
  const Leaf basic = cpuid(1), extended = cpuid(7);
  if (!bit(basic.ecx, 27) || !bit(basic.ecx, 28)) return features;  // OSXSAVE, AVX
  const uint64_t states = enabled_states();
  constexpr uint64_t kAvx = 0x06, kAvx512 = 0xe6;  // xmm, ymm | opmask, upper zmm, zmm16-31
  if ((states & kAvx) != kAvx) return features;
  features.fma = bit(basic.ecx, 12);
  features.f16c = bit(basic.ecx, 29);
  features.avx2 = bit(extended.ebx, 5);
  features.avx512_f_bw_dq_vl = (states & kAvx512) == kAvx512 && bit(extended.ebx, 16) && bit(extended.ebx, 17) &&
                               bit(extended.ebx, 30) && bit(extended.ebx, 31);
  features.avx512_vnni = features.avx512_f_bw_dq_vl && bit(extended.ecx, 11);
  // eax: the last subleaf there is.
  features.avx512_bf16 = features.avx512_f_bw_dq_vl && extended.eax >= 1 && bit(cpuid(7, 1).eax, 5);
  return features;
}

}  // namespace transformers

#else

namespace transformers {

CpuFeatures cpu_features() noexcept { return {}; }

}  // namespace transformers

#endif
