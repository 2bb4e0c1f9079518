# What a user's translation unit pays for `#include <transformers/transformers.hpp>`: at most 1 s to compile and 80,000
# preprocessed lines (blank ones not counted). Processor time is measured, and the best of several runs counts: a busy machine
# only ever adds to it.
# Usage: cmake -DSOURCE_DIR=<root> -DCXX=<compiler> -DWORK_DIR=<scratch> -P tests/include_budget_test.cmake
cmake_minimum_required(VERSION 3.21)
set(budget_lines 80000)

file(MAKE_DIRECTORY ${WORK_DIR})
set(unit ${WORK_DIR}/include_budget.cpp)
file(WRITE ${unit} "#include <transformers/transformers.hpp>\n")
set(compile ${CXX} -std=c++20 -I${SOURCE_DIR}/include)

execute_process(COMMAND ${compile} -E -P ${unit} -o ${unit}.i RESULT_VARIABLE failed ERROR_VARIABLE errors)
if(failed)
  message(FATAL_ERROR "transformers.hpp does not preprocess:\n${errors}")
endif()
file(READ ${unit}.i text)
string(REGEX REPLACE "[^\n]" "" text "${text}")
string(LENGTH "${text}" lines)

# Machines differ and are shared: the time is held against that of the standard headers such an API cannot do without, compiled
# in turn with it. On the machine of the budget (g++ 12, quiet) these take 0.56 s, so that the ratio stands for one second.
set(yardstick ${unit}.std.cpp)
file(WRITE ${yardstick} "#include <functional>\n#include <map>\n#include <memory>\n#include <optional>\n#include <string>\n#include <variant>\n#include <vector>\n")
set(budget_percent 180)

find_program(bash bash REQUIRED)
function(measure file out)  # milliseconds of processor time
  execute_process(COMMAND ${bash} -c "TIMEFORMAT='ms %3U %3S'; time \"$@\"" bash ${compile} -c ${file} -o ${file}.o
    RESULT_VARIABLE failed ERROR_VARIABLE errors)
  if(failed OR NOT errors MATCHES "ms ([0-9]+)[.,]([0-9]+) ([0-9]+)[.,]([0-9]+)")
    message(FATAL_ERROR "${file} does not compile:\n${errors}")
  endif()
  set(took 0)
  foreach(digits ${CMAKE_MATCH_1}${CMAKE_MATCH_2} ${CMAKE_MATCH_3}${CMAKE_MATCH_4})
    string(REGEX REPLACE "^0+([0-9])" "\\1" digits ${digits})
    math(EXPR took "${took} + ${digits}")
  endforeach()
  set(${out} ${took} PARENT_SCOPE)
endfunction()
set(best 999999)
set(best_yardstick 999999)
foreach(run RANGE 1 7)
  measure(${unit} took)
  measure(${yardstick} took_yardstick)
  if(took LESS best)
    set(best ${took})
  endif()
  if(took_yardstick LESS best_yardstick)
    set(best_yardstick ${took_yardstick})
  endif()
endforeach()
math(EXPR percent "100 * ${best} / ${best_yardstick}")

message(STATUS "transformers.hpp: ${best} ms, ${percent}% of the standard headers' ${best_yardstick} ms (at most ${budget_percent}%), ${lines} preprocessed lines of ${budget_lines}")
if(percent GREATER budget_percent OR lines GREATER budget_lines)
  message(FATAL_ERROR "transformers.hpp is over its budget")
endif()
