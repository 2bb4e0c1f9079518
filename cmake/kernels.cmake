# The kernels: src/kernels/*.cpp with the flags of everything else, and for each row of src/kernels/isa.def that this
# architecture has, one generated translation unit per group of operations with the flags of that instruction set.
# Optimised even in Debug builds, or tests would crawl. Called after the target `transformers` exists.

set(_kernels_dir ${PROJECT_SOURCE_DIR}/src/kernels)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_kernels_dir}/isa.def)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  set(_kernels_architecture x86_64)
else()
  set(_kernels_architecture other)
endif()

file(STRINGS ${_kernels_dir}/isa.def _rows REGEX "^TCPP_ISA(_OVER)?\\(")
set(_isa_units "")           # generated files of rows with flags of their own
set(_isa_portable_units "")  # those of the baseline
foreach(_row IN LISTS _rows)
  set(_groups gemm gemm_int attention rowwise)
  if(_row MATCHES "^TCPP_ISA_OVER\\(([a-z0-9_]+), [a-z0-9_]+, ([a-z0-9_]+), (.*)$")
    set(_groups ${CMAKE_MATCH_2})
    set(_row "TCPP_ISA(${CMAKE_MATCH_1}, ${CMAKE_MATCH_3}")
  endif()
  if(NOT _row MATCHES "^TCPP_ISA\\(([a-z0-9_]+), ([a-z0-9_]+), \"([^\"]*)\", \"([^\"]*)\"")
    message(FATAL_ERROR "isa.def: cannot read ${_row}")
  endif()
  set(_isa ${CMAKE_MATCH_1})
  set(_architecture ${CMAKE_MATCH_2})
  if(MSVC)
    separate_arguments(_flags NATIVE_COMMAND "${CMAKE_MATCH_4} /fp:precise /O2")
  else()
    # Fused or not is written in the source, never left to the compiler: every path must round alike.
    separate_arguments(_flags NATIVE_COMMAND "${CMAKE_MATCH_3} -ffp-contract=off -fno-exceptions -O3")
  endif()
  if(NOT _architecture STREQUAL "any" AND NOT _architecture STREQUAL _kernels_architecture)
    continue()
  endif()
  foreach(_group IN LISTS _groups)
    set(_unit ${PROJECT_BINARY_DIR}/kernels/${_isa}_${_group}.cpp)
    file(CONFIGURE OUTPUT ${_unit} @ONLY CONTENT "// Written by cmake/kernels.cmake from src/kernels/isa.def.
#define TCPP_KERNELS kernels_@_isa@
#include \"kernels/vec_@_isa@.hpp\"
// In this order: the algorithm is written over the primitives above.
#include \"kernels/@_group@.inl\"
")
    set_source_files_properties(${_unit} PROPERTIES COMPILE_OPTIONS "${_flags}")
    if(_architecture STREQUAL "any")
      list(APPEND _isa_portable_units ${_unit})
    else()
      list(APPEND _isa_units ${_unit})
    endif()
  endforeach()
endforeach()

file(GLOB _kernel_drivers CONFIGURE_DEPENDS ${_kernels_dir}/*.cpp)
if(NOT MSVC)
  set_source_files_properties(${_kernel_drivers} PROPERTIES COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Debug>>:-O3>")
endif()
target_sources(transformers PRIVATE ${_kernel_drivers} ${_isa_portable_units} ${_isa_units})

# A function that the linker may take from any of several translation units must not be compiled with an ISA's flags: it
# could be run on a processor without them. At -O0 nothing is inlined, so every such function would show.
if(TCPP_BUILD_TESTS AND _isa_units AND CMAKE_NM AND NOT MSVC)
  set(_unoptimised_units "")
  foreach(_unit IN LISTS _isa_units)
    get_source_file_property(_flags ${_unit} COMPILE_OPTIONS)
    list(REMOVE_ITEM _flags -O3)
    string(REPLACE "/kernels/" "/kernels_unoptimised/" _copy ${_unit})
    configure_file(${_unit} ${_copy} COPYONLY)
    set_source_files_properties(${_copy} PROPERTIES COMPILE_OPTIONS "${_flags};-O0")
    list(APPEND _unoptimised_units ${_copy})
  endforeach()
  add_library(tcpp_kernels_unoptimised OBJECT ${_unoptimised_units})
  tcpp_options(tcpp_kernels_unoptimised)
  add_test(NAME unit.kernels_no_weak_symbols
    COMMAND ${CMAKE_COMMAND} "-DNM=${CMAKE_NM}" "-DOBJECTS=$<TARGET_OBJECTS:tcpp_kernels_unoptimised>"
            -P ${PROJECT_SOURCE_DIR}/tests/kernels/no_weak_symbols.cmake)
  set_tests_properties(unit.kernels_no_weak_symbols PROPERTIES LABELS unit)
endif()
