// What it is: what the processor and the operating system let this process execute.
// Where it stands: src/kernels; dispatch.cpp asks once. Compiled with baseline flags, never with those of an ISA.
// Usage: `if (cpu_features().avx2) ...`
// Source: Intel SDM vol. 2A, CPUID, and vol. 1, 13.3 and 14.3 (XGETBV before AVX and AVX-512).
#pragma once

namespace transformers {

// A flag is set when the processor has the instructions and the system saves their registers.
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool f16c = false;
  bool avx512_f_bw_dq_vl = false;
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
};

CpuFeatures cpu_features() noexcept;

}  // namespace transformers
