// Implements the choice of ISA of kernels/kernels.hpp: one KernelTable per row of isa.def, one of them active.
// Compiled with baseline flags; the tables are filled by functions of the per-ISA translation units.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>

#include "kernels/cpu.hpp"
#include "kernels/kernel_table.hpp"
#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {

#define TCPP_ISA(id, architecture, flags, msvc_flags, condition) \
  namespace kernels_##id {                                       \
    void fill_gemm(KernelTable& table) noexcept;                 \
    void fill_gemm_int(KernelTable& table) noexcept;             \
    void fill_attention(KernelTable& table) noexcept;            \
    void fill_rowwise(KernelTable& table) noexcept;              \
  }
#define TCPP_ISA_OVER(id, base, group, architecture, flags, msvc_flags, condition) \
  namespace kernels_##id {                                                         \
    void fill_##group(KernelTable& table) noexcept;                                \
  }
#include "kernels/isa.def"
#undef TCPP_ISA
#undef TCPP_ISA_OVER

namespace {

struct Isa {
  KernelTable table;
  bool supported;

  std::string_view name() const { return table.name; }
};

// All tables, in the order of isa.def: portable first, which every processor runs.
std::span<const Isa> isas() {
  static const std::vector<Isa> all = [] {
    [[maybe_unused]] const CpuFeatures cpu = cpu_features();
    std::vector<Isa> made;
#define TCPP_ISA(id, architecture, flags, msvc_flags, condition) \
  made.push_back({{}, condition});                               \
  made.back().table.name = #id;                                  \
  kernels_##id::fill_gemm(made.back().table);                    \
  kernels_##id::fill_gemm_int(made.back().table);                \
  kernels_##id::fill_attention(made.back().table);               \
  kernels_##id::fill_rowwise(made.back().table);
#define TCPP_ISA_OVER(id, base, group, architecture, flags, msvc_flags, condition)                  \
  made.push_back({std::ranges::find(made, std::string_view(#base), &Isa::name)->table, condition}); \
  made.back().table.name = #id;                                                                     \
  kernels_##id::fill_##group(made.back().table);
#include "kernels/isa.def"
#undef TCPP_ISA
#undef TCPP_ISA_OVER
    return made;
  }();
  return all;
}

const KernelTable& find(std::string_view name, std::string_view where) {
  std::string known;
  for (const Isa& isa : isas()) {
    if (!isa.supported) continue;
    if (isa.table.name == name) return isa.table;
    known += (known.empty() ? "" : ", ") + std::string(isa.table.name);
  }
  throw Error(ErrorCode::unsupported,
              "instruction set \"" + std::string(name) + "\" (this processor runs: " + known + ")", std::string(where));
}

const KernelTable& initial() {
  const char* wanted = std::getenv("TCPP_ISA");
  if (wanted != nullptr && *wanted != '\0') return find(wanted, "TCPP_ISA");
  return find(supported_isas().back(), {});
}

std::atomic<const KernelTable*> active{nullptr};

}  // namespace

const KernelTable& kernels() {
  const KernelTable* table = active.load(std::memory_order_acquire);
  if (table == nullptr) {
    const KernelTable* expected = nullptr;
    table = &initial();
    if (!active.compare_exchange_strong(expected, table, std::memory_order_acq_rel)) table = expected;
  }
  return *table;
}

std::vector<std::string_view> supported_isas() {
  std::vector<std::string_view> names;
  for (const Isa& isa : isas()) {
    if (isa.supported) names.emplace_back(isa.table.name);
  }
  return names;
}

std::string_view isa() { return kernels().name; }

void set_isa(std::string_view name) { active.store(&find(name, "set_isa"), std::memory_order_release); }

}  // namespace transformers
