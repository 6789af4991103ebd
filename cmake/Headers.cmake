# What nearly every source includes of libraries, read once: a third of the time that a small source takes to compile.
#
#   qd_use_headers(<target>)        the standard library and fmt
#   qd_use_test_headers(<target>)   GoogleTest too
#
# Sources include what they use all the same: tools/tidy reads them without. GCC builds without, as a check of that.

set(kHeaders <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstdint> <deque> <expected>
             <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <span> <string> <string_view> <thread>
             <unordered_map> <unordered_set> <utility> <variant> <vector> <fmt/format.h>)
foreach(header bytes clock counters files log mutex result scheduler thread_pool)
  list(APPEND kHeaders ${PROJECT_SOURCE_DIR}/src/base/${header}.h)
endforeach()
foreach(header labels matcher metadata sample)
  list(APPEND kHeaders ${PROJECT_SOURCE_DIR}/src/model/${header}.h)
endforeach()

# What tests themselves do takes no time, and optimising it took most of a sanitized build's.
function(qd_compile_tests_fast target)
  if(QD_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()

function(qd_precompile name)
  set(source ${CMAKE_BINARY_DIR}/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "// Made by cmake/Headers.cmake.\n")
  add_library(${name} OBJECT ${source})
  target_link_libraries(${name} PRIVATE fmt::fmt Threads::Threads)
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Some libraries ask for it: all must be compiled alike.
  add_compile_options(-pthread)
  # Times in the file would keep ccache from knowing it again.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  qd_precompile(qd_headers ${kHeaders})
  qd_precompile(qd_test_headers ${kHeaders} <gmock/gmock.h> <gtest/gtest.h>)
  target_link_libraries(qd_test_headers PRIVATE GTest::gmock GTest::gtest)
  set_target_properties(qd_test_headers PROPERTIES EXCLUDE_FROM_ALL ON)
  qd_compile_tests_fast(qd_test_headers)
endif()

function(qd_use_headers target)
  if(TARGET qd_headers)
    target_precompile_headers(${target} REUSE_FROM qd_headers)
  endif()
endfunction()

function(qd_use_test_headers target)
  if(TARGET qd_test_headers)
    target_precompile_headers(${target} REUSE_FROM qd_test_headers)
    qd_compile_tests_fast(${target})
  endif()
endfunction()
