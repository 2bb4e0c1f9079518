# Tests: one executable per folder, test_<folder> from tests/<folder>/*_test.cpp, and one ctest entry per executable and label:
#   unit.<folder>        every suite but those below
#   reference.<folder>   suites named *Reference*: answers recorded from Hugging Face in tests/data
#   slow.<folder>        suites named *Slow*: left out of tests/run.sh (run them with ctest -L slow)
# Precompiled once for all of them: gtest.
tcpp_require(GTest)
tcpp_require(Eigen3)

add_library(tcpp_test_support INTERFACE)
target_include_directories(tcpp_test_support INTERFACE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(tcpp_test_support INTERFACE transformers GTest::gtest GTest::gtest_main nlohmann_json::nlohmann_json
                                                  Eigen3::Eigen)
target_compile_definitions(tcpp_test_support INTERFACE
  TCPP_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
  TCPP_MODELS_DIR="${PROJECT_SOURCE_DIR}/models"
  TCPP_BINARY="${PROJECT_BINARY_DIR}/bin/tcpp")
# Tests are compiled once and run once: little optimisation makes them build in half the time. (g++ 12 at -O3 also sees
# overflows in expected strings that are not there.)
target_compile_options(tcpp_test_support INTERFACE $<$<NOT:$<OR:$<CONFIG:Debug>,$<CXX_COMPILER_ID:MSVC>>>:-O1>)

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test_pch.cpp CONTENT "// Carries the tests' precompiled header.\n")
add_library(tcpp_test_pch STATIC ${PROJECT_BINARY_DIR}/test_pch.cpp)
tcpp_options(tcpp_test_pch)
target_link_libraries(tcpp_test_pch PRIVATE tcpp_test_support)
target_precompile_headers(tcpp_test_pch PRIVATE <gtest/gtest.h>)

set(_folders base tensor kernels tokenizers io nn heads models generation pipelines cli)
if(BUILD_SHARED_LIBS)  # the others look inside the library, where symbols are hidden
  set(_folders cli)
elseif(CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")  # what uses threads: ten times slower, so only that
  set(_folders base kernels nn models generation pipelines)
endif()
foreach(_folder IN LISTS _folders)
  file(GLOB _sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${_folder}/*_test.cpp)
  if(NOT _sources)
    continue()
  endif()
  add_executable(test_${_folder} ${_sources})
  tcpp_options(test_${_folder})
  target_link_libraries(test_${_folder} PRIVATE tcpp_test_support)
  target_precompile_headers(test_${_folder} REUSE_FROM tcpp_test_pch)

  set(_suites "")
  foreach(_source IN LISTS _sources)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_source})
    file(STRINGS ${_source} _found REGEX "^ *(TYPED_)?TEST(_[FP])?\\(")
    string(APPEND _suites "${_found}")
  endforeach()
  add_test(NAME unit.${_folder} COMMAND test_${_folder} --gtest_brief=1 --gtest_filter=-*Reference*:*Slow*)
  set_tests_properties(unit.${_folder} PROPERTIES LABELS unit)
  foreach(_label Reference Slow)
    if(_suites MATCHES "${_label}")
      string(TOLOWER ${_label} _lower)
      add_test(NAME ${_lower}.${_folder} COMMAND test_${_folder} --gtest_brief=1 --gtest_filter=*${_label}*)
      set_tests_properties(${_lower}.${_folder} PROPERTIES LABELS ${_lower})
    endif()
  endforeach()
endforeach()
if(TARGET test_cli AND TARGET tcpp)
  add_dependencies(test_cli tcpp)
endif()

# Rules about the tree itself.
add_test(NAME tree.layering COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -P ${PROJECT_SOURCE_DIR}/tests/layering_test.cmake)
set_tests_properties(tree.layering PROPERTIES LABELS unit)
add_test(NAME tree.include_budget COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DCXX=${CMAKE_CXX_COMPILER}
  -DWORK_DIR=${PROJECT_BINARY_DIR}/include_budget -P ${PROJECT_SOURCE_DIR}/tests/include_budget_test.cmake)
set_tests_properties(tree.include_budget PROPERTIES LABELS unit RUN_SERIAL ON)

# The tokenizers by themselves stay small: whatever drags the rest of the library in shows here.
if(TARGET example_tokenize AND CMAKE_STRIP AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug"
   AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  add_test(NAME tree.tokenizer_size COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:example_tokenize> -DSTRIP=${CMAKE_STRIP}
    -DWORK_DIR=${PROJECT_BINARY_DIR}/tokenizer_size -P ${PROJECT_SOURCE_DIR}/tests/tokenizer_size_test.cmake)
  set_tests_properties(tree.tokenizer_size PROPERTIES LABELS unit)
endif()

# The C++ of README.md and docs/*.md.
include(${PROJECT_SOURCE_DIR}/tests/docs/extract_snippets.cmake)
file(GLOB _documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/docs/*.md)
tcpp_extract_snippets(_snippets ${PROJECT_BINARY_DIR}/snippets ${_documents})
if(_snippets)
  add_library(doc_snippets OBJECT ${_snippets})
  tcpp_options(doc_snippets)
  target_compile_options(doc_snippets PRIVATE -Wno-unused-variable -Wno-unused-but-set-variable)
  target_link_libraries(doc_snippets PRIVATE transformers nlohmann_json::nlohmann_json Eigen3::Eigen)
endif()

# Projects that use the library, each built and run from nothing (tests/install/consumer_test.cmake). Those that take it as
# sources compile it once more: label slow.
foreach(_how find_package pkg_config add_subdirectory fetch_content)
  add_test(NAME install.${_how} COMMAND ${CMAKE_COMMAND} -DHOW=${_how} -DSOURCE_DIR=${PROJECT_SOURCE_DIR}
    -DBUILD_DIR=${PROJECT_BINARY_DIR} -DCXX=${CMAKE_CXX_COMPILER} -DCXX_FLAGS=${CMAKE_CXX_FLAGS} -DGENERATOR=${CMAKE_GENERATOR}
    -DCONFIG=${CMAKE_BUILD_TYPE} -DSHARED=${BUILD_SHARED_LIBS} -P ${PROJECT_SOURCE_DIR}/tests/install/consumer_test.cmake)
  set_tests_properties(install.${_how} PROPERTIES LABELS unit)
endforeach()
set_tests_properties(install.add_subdirectory install.fetch_content PROPERTIES LABELS slow)
