# Every examples/*.cpp is a program of its own: build/bin/example_<name>. CMake builds them with everything else, so they always compile.
# tokenize needs the tokenizers alone.
file(GLOB _examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.cpp)
foreach(_example IN LISTS _examples)
  get_filename_component(_name ${_example} NAME_WE)
  add_executable(example_${_name} ${_example})
  tcpp_options(example_${_name})
  target_link_libraries(example_${_name} PRIVATE $<IF:$<STREQUAL:${_name},tokenize>,transformers_tokenizers,transformers>)
endforeach()
