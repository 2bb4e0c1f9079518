# The two library targets, static or shared (BUILD_SHARED_LIBS):
#   transformers::tokenizers     src/base + src/tokenizers; links nothing else of ours
#   transformers::transformers   everything above, on top of it
# and tcpp_options(TARGET), the compile options of every target of this project; tcpp_unity(TARGET SIZE) for large ones.

set(_ccache "")
if(TCPP_USE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(TCPP_CCACHE ccache)
  mark_as_advanced(TCPP_CCACHE)
  if(TCPP_CCACHE)  # the two sloppiness flags are what precompiled headers need
    set(_ccache ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${TCPP_CCACHE})
  endif()
endif()

function(tcpp_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON CXX_COMPILER_LAUNCHER "${_ccache}"
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /utf-8 $<$<BOOL:${TCPP_WARNINGS_AS_ERRORS}>:/WX>)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic $<$<BOOL:${TCPP_WARNINGS_AS_ERRORS}>:-Werror>)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      target_compile_options(${target} PRIVATE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)  # false alarms on std::string (GCC bugs 105651, 105329)
    endif()
  endif()
endfunction()

# Files of `target` without flags of their own are compiled `size` at a time.
function(tcpp_unity target size)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${TCPP_UNITY_BUILD} UNITY_BUILD_BATCH_SIZE ${size})
  if(TCPP_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)  # it takes the files for headers
  endif()
endfunction()

function(_tcpp_sources out)
  set(files "")
  foreach(folder IN LISTS ARGN)
    file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.cpp)
    list(APPEND files ${found})
  endforeach()
  set(${out} ${files} PARENT_SCOPE)
endfunction()

function(_tcpp_library target export_name)
  add_library(${target} ${ARGN})
  add_library(transformers::${export_name} ALIAS ${target})
  tcpp_options(${target})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC Threads::Threads PRIVATE $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
  target_compile_definitions(${target} PRIVATE TCPP_BUILDING)
  if(BUILD_SHARED_LIBS)
    target_compile_definitions(${target} PUBLIC TCPP_SHARED)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
      target_link_options(${target} PRIVATE -Wl,--no-undefined)  # a symbol without TCPP_API shows here, not at the user's link
    endif()
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${export_name} POSITION_INDEPENDENT_CODE ON
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endfunction()

tcpp_require(nlohmann_json)

_tcpp_sources(_tokenizers_sources base tokenizers)
_tcpp_library(transformers_tokenizers tokenizers ${_tokenizers_sources})
# Regular expressions. Who links an installed static library links it too.
tcpp_require(oniguruma)
target_link_libraries(transformers_tokenizers PRIVATE $<BUILD_INTERFACE:oniguruma>)
if(NOT BUILD_SHARED_LIBS)
  if(TARGET onig)  # fetched, and installed beside this library
    target_link_libraries(transformers_tokenizers INTERFACE
      $<INSTALL_INTERFACE:$<INSTALL_PREFIX>/${CMAKE_INSTALL_LIBDIR}/${CMAKE_STATIC_LIBRARY_PREFIX}onig${CMAKE_STATIC_LIBRARY_SUFFIX}>)
  else()
    target_link_libraries(transformers_tokenizers INTERFACE $<INSTALL_INTERFACE:onig>)
  endif()
endif()

# One translation unit per handful of families of models/families.def: families share most of what they instantiate.
set(_families_per_unit 1)
if(TCPP_UNITY_BUILD)
  set(_families_per_unit 6)
endif()
set(_family_sources "")
set(_families_def ${PROJECT_SOURCE_DIR}/include/transformers/models/families.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_families_def})
file(STRINGS ${_families_def} _rows REGEX "^TCPP_FAMILY\\([a-z0-9_]+\\)")
list(TRANSFORM _rows REPLACE "^TCPP_FAMILY\\(([a-z0-9_]+)\\).*" "\\1")
set(_unit_number 0)
while(_rows)
  set(_text "// Written by cmake/library.cmake from include/transformers/models/families.def.\n")
  list(SUBLIST _rows 0 ${_families_per_unit} _families)
  list(REMOVE_ITEM _rows ${_families})
  foreach(_family IN LISTS _families)
    string(APPEND _text "#include \"transformers/models/${_family}.hpp\"\nTCPP_DEFINE_FAMILY(${_family})\n")
  endforeach()
  math(EXPR _unit_number "${_unit_number} + 1")
  set(_unit ${PROJECT_BINARY_DIR}/families/families_${_unit_number}.cpp)
  file(CONFIGURE OUTPUT ${_unit} @ONLY CONTENT "${_text}")
  list(APPEND _family_sources ${_unit})
endwhile()

# src/kernels is added by cmake/kernels.cmake: its files need per-ISA flags.
_tcpp_sources(_library_sources tensor io nn heads models generation pipelines)
list(APPEND _library_sources ${_family_sources})
_tcpp_library(transformers transformers ${_library_sources})
target_link_libraries(transformers PUBLIC transformers_tokenizers)

# What is worth optimising for speed is in the kernels (flags of their own: cmake/kernels.cmake) and in the files below: whatever
# runs per character, per byte of JSON or per logit. The rest runs once per model, request or row; small code starts and
# compiles faster, and so does a handful of files compiled as one.
set(_fast ${_tokenizers_sources} ${_library_sources})
set(_fast_tokenizers "added_tokens|bert_path|bpe|byte_level_path|decoders|metaspace_path|models|normalized_string|normalizers|pre_tokenizers"
                     "processors|regex|scanners|text_normalizer|text_properties|tokenizer|unicode|unigram|vocab")
list(JOIN _fast_tokenizers "|" _fast_tokenizers)
list(FILTER _fast INCLUDE REGEX "/base/(gguf_tokenizer|json|parallel)\\.|/models/pack\\.|/tensor/|/generation/(logits_process|sampling)\\.|/tokenizers/(${_fast_tokenizers})\\.")
set_source_files_properties(${_fast} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
if(NOT MSVC AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  set_source_files_properties(${_fast} PROPERTIES COMPILE_OPTIONS -O3)
  foreach(_target transformers_tokenizers transformers)
    target_compile_options(${_target} PRIVATE -Os)
  endforeach()
endif()
# Their file-local names (Type, kMaxDepth) mean something else in each other.
file(GLOB _jinja ${PROJECT_SOURCE_DIR}/src/tokenizers/jinja_*.cpp)
set_source_files_properties(${_jinja} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
tcpp_unity(transformers_tokenizers 8)
tcpp_unity(transformers 8)

# Where bundled models lie, as a ';'-separated list searched in order (after TCPP_MODELS_DIR and the program's own
# ../share/transformers/models): this source tree's, then the installed ones.
set(_models_dirs ${CMAKE_INSTALL_FULL_DATADIR}/transformers/models)
if(TCPP_FIND_SOURCE_MODELS)
  list(PREPEND _models_dirs ${PROJECT_SOURCE_DIR}/models)
endif()
string(REPLACE ";" "\\;" _models_dirs "${_models_dirs}")
set_property(SOURCE ${PROJECT_SOURCE_DIR}/src/models/locate.cpp APPEND PROPERTY COMPILE_DEFINITIONS "TCPP_BUNDLED_MODELS_DIRS=\"${_models_dirs}\"")
