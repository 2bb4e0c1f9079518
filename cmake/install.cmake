# What `cmake --install` puts down: libraries, headers, tcpp, the bundled models, and both ways to be found:
#   find_package(transformers CONFIG [COMPONENTS tokenizers])    lib/cmake/transformers/
#   pkg-config transformers | transformers-tokenizers            lib/pkgconfig/
include(CMakePackageConfigHelpers)

install(TARGETS transformers transformers_tokenizers EXPORT transformers
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
set_target_properties(transformers PROPERTIES INSTALL_RPATH "$ORIGIN")
if(TARGET tcpp)
  install(TARGETS tcpp RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/transformers DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN *.hpp PATTERN *.def)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/transformers)

# A bundled model is a folder of models/ with a config.json.
file(GLOB _models CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/models/*/config.json)
foreach(_config IN LISTS _models)
  get_filename_component(_model ${_config} DIRECTORY)
  install(DIRECTORY ${_model} DESTINATION ${CMAKE_INSTALL_DATADIR}/transformers/models)
endforeach()

set(_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/transformers)
install(EXPORT transformers NAMESPACE transformers:: FILE transformersTargets.cmake DESTINATION ${_package_dir})
set(TCPP_MODELS_DIR ${CMAKE_INSTALL_DATADIR}/transformers/models)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/transformersConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/transformersConfig.cmake INSTALL_DESTINATION ${_package_dir}
  PATH_VARS TCPP_MODELS_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/transformersConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/transformersConfig.cmake ${PROJECT_BINARY_DIR}/package/transformersConfigVersion.cmake
  DESTINATION ${_package_dir})

# pkg-config: the prefix is taken from where the file lies, so that an installed tree can be moved. A static library needs
# threads and Oniguruma at the consumer's link; a shared one has linked them itself.
file(RELATIVE_PATH _prefix_from_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
if(BUILD_SHARED_LIBS)
  set(_pc_cflags "-DTCPP_SHARED")
  set(_pc_libs "")
  set(_pc_libs_private "-pthread")
else()
  set(_pc_cflags "")
  set(_pc_libs "-lonig -pthread")
  set(_pc_libs_private "")
endif()
function(_tcpp_pkg_config name description library requires)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/package.pc.in ${PROJECT_BINARY_DIR}/package/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/package/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
_tcpp_pkg_config(transformers-tokenizers "Hugging Face tokenizers in C++20" transformers_tokenizers "")
_tcpp_pkg_config(transformers "${PROJECT_DESCRIPTION}" transformers "transformers-tokenizers = ${PROJECT_VERSION}")
