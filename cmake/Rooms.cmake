# A room is a folder of src/: one library with only the links that it is allowed.
#
#   qd_room(<folder> [BATCHED [ALONE <sources>]] LINKS <rooms and libraries>)
#
# Every .cpp in the folder goes into the library qd_<folder, / as _>, every *_test.cpp into the test program
# <folder>_test, every *_bench.cpp into <folder>_bench.
#
# With QD_UNITY=N the compiler reads N sources of a BATCHED room at once, for what they include and instantiate in common.
# So a name in an anonymous namespace stands once in such a room; -DQD_UNITY=1000 reads whole rooms, to see that. ALONE
# are sources that take long by themselves, or need flags or macros of their own.

function(qd_room folder)
  cmake_parse_arguments(ROOM "BATCHED" "" "LINKS;TEST_LINKS;ALONE" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  set(dir ${PROJECT_SOURCE_DIR}/src/${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cpp)
  set(tests ${sources})
  set(benches ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cpp$")

  if(sources)
    add_library(qd_${name} STATIC ${sources})
    target_link_libraries(qd_${name} PUBLIC ${ROOM_LINKS})
    qd_use_headers(qd_${name})
    if(QD_UNITY AND ROOM_BATCHED)
      set_target_properties(qd_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${QD_UNITY})
      list(TRANSFORM ROOM_ALONE PREPEND ${dir}/)
      set_source_files_properties(${ROOM_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  else()
    add_library(qd_${name} INTERFACE)
    target_link_libraries(qd_${name} INTERFACE ${ROOM_LINKS})
  endif()

  if(tests AND NOT QD_FUZZ)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE qd_${name} ${ROOM_TEST_LINKS} GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE QD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    qd_use_test_headers(${name}_test)
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
  endif()
  if(benches AND NOT QD_FUZZ)
    add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(${name}_bench PRIVATE qd_${name} benchmark::benchmark_main)
    target_compile_definitions(${name}_bench PRIVATE QD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    add_dependencies(benches ${name}_bench)
  endif()
endfunction()
add_custom_target(benches)
