// What it is: all that an ISA with an instruction for products of bf16 has of its own.
// Where it stands: src/kernels; a group of isa.def.
// Usage: fill_bf16(table) puts it into the table of its ISA.
#include "kernels/attention_bf16.inl"
#include "kernels/gemm_bf16.inl"

namespace transformers {
namespace TCPP_KERNELS {

void fill_bf16(KernelTable& table) noexcept {
  fill_attention_bf16(table);
  fill_gemm_bf16(table);
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
