# The tcpp command: src/cli/*.cpp on top of the public library.
_tcpp_sources(_cli_sources cli)
if(_cli_sources)
  tcpp_require(CLI11)
  add_executable(tcpp ${_cli_sources})
  tcpp_options(tcpp)
  target_link_libraries(tcpp PRIVATE transformers CLI11::CLI11 nlohmann_json::nlohmann_json)
  # CLI11 is most of what these files cost to compile, and nothing in them is worth optimising: the work is the library's.
  target_precompile_headers(tcpp PRIVATE <CLI/CLI.hpp>)
  target_compile_options(tcpp PRIVATE $<$<NOT:$<OR:$<CONFIG:Debug>,$<CXX_COMPILER_ID:MSVC>>>:-O1>)
  tcpp_unity(tcpp 6)
  file(RELATIVE_PATH _lib_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(tcpp PROPERTIES INSTALL_RPATH "$ORIGIN/${_lib_from_bin}")
endif()
