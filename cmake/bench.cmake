# Every bench/*.cpp is a program of its own: build/bin/<name>. See bench/README.md.
file(GLOB _benchmarks CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cpp)
foreach(_benchmark IN LISTS _benchmarks)
  get_filename_component(_name ${_benchmark} NAME_WE)
  add_executable(${_name} ${_benchmark})
  tcpp_options(${_name})
  target_link_libraries(${_name} PRIVATE transformers)
endforeach()
