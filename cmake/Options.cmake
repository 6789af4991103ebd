# Compiler and linker settings of everything built here.

find_program(QD_CCACHE ccache)
if(QD_CCACHE)
  # What it must take on trust to know sources with precompiled headers again.
  set(launcher env CCACHE_SLOPPINESS=pch_defines,time_macros ${QD_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
endif()

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12 uses its own deprecated std::get_temporary_buffer in std::stable_sort, and clang 19 says so.
  add_compile_options(-Wthread-safety -Wthread-safety-beta -Wno-deprecated-declarations)
  add_link_options(-fuse-ld=lld)
else()
  # GCC 12 warns falsely about these inside the standard library at -O3.
  add_compile_options(-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
                      -Wno-restrict -Wno-dangling-pointer -Wno-interference-size)
endif()

if(QD_SANITIZE)
  add_compile_options(-fsanitize=${QD_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${QD_SANITIZE})
endif()
if(QD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(QD_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

include_directories(${PROJECT_SOURCE_DIR}/src)
