# What nearly every source includes, read once: half of the time that a small source takes to compile.
#
#   qd_use_headers(<target>)        cmake/common.h
#   qd_use_test_headers(<target>)   cmake/common_test.h
#
# Sources include what they use all the same: tools/tidy reads them without. GCC builds without, as a check of that.

# What tests themselves do takes no time, and optimising it took most of a sanitized build's.
function(qd_compile_tests_fast target)
  if(QD_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()

function(qd_precompile name header)
  set(source ${CMAKE_BINARY_DIR}/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "// Made by cmake/Headers.cmake.\n")
  add_library(${name} OBJECT ${source})
  target_link_libraries(${name} PRIVATE fmt::fmt Threads::Threads)
  target_precompile_headers(${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/${header})
endfunction()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Some libraries ask for it: all must be compiled alike.
  add_compile_options(-pthread)
  # Times in the file would keep ccache from knowing it again.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  qd_precompile(qd_common common.h)
  qd_precompile(qd_common_test common_test.h)
  target_link_libraries(qd_common_test PRIVATE GTest::gmock GTest::gtest)
  set_target_properties(qd_common_test PROPERTIES EXCLUDE_FROM_ALL ON)
  qd_compile_tests_fast(qd_common_test)
endif()

function(qd_use_headers target)
  if(TARGET qd_common)
    target_precompile_headers(${target} REUSE_FROM qd_common)
  endif()
endfunction()

function(qd_use_test_headers target)
  if(TARGET qd_common_test)
    target_precompile_headers(${target} REUSE_FROM qd_common_test)
    qd_compile_tests_fast(${target})
  endif()
endfunction()
