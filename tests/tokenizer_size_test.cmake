# Fails when a program that only tokenizes is 3 MB or more without its symbols, beside the system's shared libraries.
# Usage: cmake -DPROGRAM=build/bin/example_tokenize -DSTRIP=strip -DWORK_DIR=... -P tokenizer_size_test.cmake
cmake_minimum_required(VERSION 3.21)
file(MAKE_DIRECTORY ${WORK_DIR})
execute_process(COMMAND ${STRIP} -o ${WORK_DIR}/stripped ${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${WORK_DIR}/stripped size)
message(STATUS "${size} bytes")
if(size GREATER_EQUAL 3000000)
  message(FATAL_ERROR "${PROGRAM} takes ${size} bytes without symbols: 3,000,000 and more")
endif()
