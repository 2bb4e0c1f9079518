// What it is: the library's version macros and the export macro of its public symbols.
// Where it stands: base; included by every public header that declares something defined in a .cpp.
// Usage: `class TCPP_API Tokenizer { ... };`
#pragma once

// Kept in step with project(VERSION) by CMake, which fails to configure when the two differ.
#define TCPP_VERSION_MAJOR 0
#define TCPP_VERSION_MINOR 1
#define TCPP_VERSION_PATCH 0
#define TCPP_VERSION_STRING "0.1.0"

// Symbols are hidden unless marked. TCPP_SHARED is set by the CMake target (and the pkg-config file) of a shared build,
// TCPP_BUILDING only while the library itself is compiled.
#if defined(TCPP_SHARED) && defined(_WIN32)
#if defined(TCPP_BUILDING)
#define TCPP_API __declspec(dllexport)
#else
#define TCPP_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define TCPP_API __attribute__((visibility("default")))
#else
#define TCPP_API
#endif

namespace transformers {

// The version of the library that is linked, "major.minor.patch"; the macros above give that of the headers.
TCPP_API const char* version() noexcept;

}  // namespace transformers
