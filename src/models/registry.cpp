// The table of families: includes families.def for declarations and rows. Explicit on purpose: a linker drops static
// objects that register themselves from a static library.
#include "transformers/models/family.hpp"

namespace transformers {

#define TCPP_FAMILY(name) const Family& family_##name() noexcept;
#include "transformers/models/families.def"
#undef TCPP_FAMILY

std::span<const Family* const> families() noexcept {
  static const Family* const kFamilies[] = {
#define TCPP_FAMILY(name) &family_##name(),
#include "transformers/models/families.def"
#undef TCPP_FAMILY
  };
  return kFamilies;
}

}  // namespace transformers
