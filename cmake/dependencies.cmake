# Libraries of others: the system's package when there is one, else the pinned release through FetchContent, out of the
# place that TCPP_ARCHIVES names: which one is trusted is for whoever builds to say, the hashes hold it to its content.
# Each is looked for by whoever uses it: tcpp_require(NAME) makes the target named in the table at the end of this file.
# In the installed package only oniguruma appears, as a library that static builds link (docs/dependencies.md).
include(FetchContent)
if(POLICY CMP0135)
  cmake_policy(SET CMP0135 NEW)  # downloaded files are as old as their extraction
endif()

set(CMAKE_THREAD_PREFER_PTHREAD ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

set(TCPP_ARCHIVES "" CACHE STRING
  "Folder or URL with the pinned releases of libraries that are not installed (docs/dependencies.md)")

# A macro, so that the targets find_package imports are seen by the whole directory.
macro(tcpp_require name)
  if("${name}" STREQUAL "nlohmann_json" AND NOT TARGET nlohmann_json::nlohmann_json)
    find_package(nlohmann_json 3.11 QUIET)
    if(NOT nlohmann_json_FOUND)
      _tcpp_fetch(nlohmann_json
        nlohmann_json-3.11.3.tar.xz
        d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
    endif()
  elseif("${name}" STREQUAL "oniguruma" AND NOT TARGET oniguruma)
    # Debian's package has no CMake files; the release's own target is called onig.
    find_path(ONIGURUMA_INCLUDE_DIR oniguruma.h)
    find_library(ONIGURUMA_LIBRARY onig)
    mark_as_advanced(ONIGURUMA_INCLUDE_DIR ONIGURUMA_LIBRARY)
    if(ONIGURUMA_INCLUDE_DIR AND ONIGURUMA_LIBRARY)
      add_library(oniguruma INTERFACE)
      target_include_directories(oniguruma SYSTEM INTERFACE ${ONIGURUMA_INCLUDE_DIR})
      target_link_libraries(oniguruma INTERFACE ${ONIGURUMA_LIBRARY})
    else()
      _tcpp_fetch(oniguruma
        onig-6.9.10.tar.gz
        2a5cfc5ae259e4e97f86b68dfffc152cdaffe94e2060b770cb827238d769fc05)
      add_library(oniguruma INTERFACE)
      target_link_libraries(oniguruma INTERFACE onig)
    endif()
  elseif("${name}" STREQUAL "Eigen3" AND NOT TARGET Eigen3::Eigen)
    find_package(Eigen3 3.4 QUIET NO_MODULE)
    if(NOT Eigen3_FOUND)
      _tcpp_fetch(Eigen3
        eigen-3.4.0.tar.gz
        8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72)
    endif()
  elseif("${name}" STREQUAL "CLI11" AND NOT TARGET CLI11::CLI11)
    find_package(CLI11 2.1 QUIET)
    if(NOT CLI11_FOUND)
      _tcpp_fetch(CLI11
        CLI11-2.4.1.tar.gz
        73b7ec52261ce8fe980a29df6b4ceb66243bb0b779451dbd3d014cfec9fdbb58)
    endif()
  elseif("${name}" STREQUAL "GTest" AND NOT TARGET GTest::gtest)
    find_package(GTest 1.12 QUIET)
    if(NOT GTest_FOUND)
      _tcpp_fetch(googletest
        googletest-1.14.0.tar.gz
        8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7)
    endif()
  endif()
endmacro()

# Unpacks and adds one release without its tests, docs and install rules. Eigen's own CMake project builds far more than
# its headers, so it becomes a plain interface target.
function(_tcpp_fetch name archive sha256)
  string(TOUPPER "FETCHCONTENT_SOURCE_DIR_${name}" unpacked)  # CMake's own way to give the sources
  if(NOT TCPP_ARCHIVES AND NOT ${unpacked})
    message(FATAL_ERROR "${name} is not installed. Install it (docs/dependencies.md names the packages), or set "
      "TCPP_ARCHIVES to a folder or URL that holds ${archive}.")
  endif()
  set(url "${TCPP_ARCHIVES}/${archive}")
  message(STATUS "${name} is not installed: taking ${url}")
  set(BUILD_TESTING OFF)
  set(BUILD_GMOCK OFF CACHE BOOL "" FORCE)
  set(INSTALL_GTEST OFF CACHE BOOL "" FORCE)
  set(JSON_BuildTests OFF CACHE BOOL "" FORCE)
  set(JSON_Install OFF CACHE BOOL "" FORCE)
  set(CLI11_BUILD_TESTS OFF CACHE BOOL "" FORCE)
  set(CLI11_BUILD_EXAMPLES OFF CACHE BOOL "" FORCE)
  set(CLI11_BUILD_DOCS OFF CACHE BOOL "" FORCE)
  set(CLI11_INSTALL OFF CACHE BOOL "" FORCE)
  set(BUILD_TEST OFF CACHE BOOL "" FORCE)
  set(INSTALL_DOCUMENTATION OFF CACHE BOOL "" FORCE)
  set(INSTALL_EXAMPLES OFF CACHE BOOL "" FORCE)
  set(BUILD_SHARED_LIBS OFF)
  if(name STREQUAL "Eigen3")
    FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256} SOURCE_SUBDIR none)
  else()
    FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256})
  endif()
  FetchContent_MakeAvailable(${name})
  if(name STREQUAL "Eigen3")
    add_library(tcpp_eigen INTERFACE)
    target_include_directories(tcpp_eigen SYSTEM INTERFACE ${eigen3_SOURCE_DIR})
    add_library(Eigen3::Eigen ALIAS tcpp_eigen)
  endif()
endfunction()
