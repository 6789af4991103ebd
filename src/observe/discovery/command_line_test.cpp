#include "observe/discovery/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::observe::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

TEST(ShellWords, are_those_that_a_shell_makes) {
  const Environment environment = {{"PW", "se same"}, {"A_1", "x"}};
  EXPECT_THAT(shell_words("redis-server  --requirepass\t$PW", environment),
              ElementsAre("redis-server", "--requirepass", "se same"));
  EXPECT_THAT(shell_words(R"("$PW" '$PW' a\ b "c\"d" ${A_1}y '')", environment),
              ElementsAre("se same", "$PW", "a b", "c\"d", "xy", ""));
  EXPECT_THAT(shell_words("$NONE$ ${open ${bad-x} $", environment), ElementsAre("$", "${open", "${bad-x}", "$"));
  EXPECT_THAT(shell_words("'not closed", environment), ElementsAre("not closed"));
  EXPECT_THAT(shell_words(" \n", environment), IsEmpty());
}

TEST(ShellWords, take_secrets_from_the_files_that_are_substituted) {
  const ReadFile read = [](const std::string& path) {
    return path == "/run/secrets/pw" ? std::optional<std::string>("se same") : std::nullopt;
  };
  for (const char* text : {R"_(--pass "$(cat /run/secrets/pw)" -x)_", "--pass $(cat /run/secrets/pw) -x",
                           "--pass $(</run/secrets/pw) -x", R"_(--pass "$( cat '/run/secrets/pw' )" -x)_"}) {
    EXPECT_THAT(shell_words(text, {}, read), ElementsAre("--pass", "se same", "-x")) << text;
  }
  for (const char* text :
       {"$(cat /none)", "$(cat /run/secrets/pw | rev)", "$(cat relative)", "$(date +(x))", "$(cat", "$()", "`cat`"}) {
    EXPECT_THAT(shell_words(text, {}, read), ElementsAre(text));
    EXPECT_TRUE(is_substituted(text));
  }
  EXPECT_THAT(shell_words("'$(cat /run/secrets/pw)'", {}, read), ElementsAre("$(cat /run/secrets/pw)"));
  EXPECT_FALSE(is_substituted("se$ame"));
}

TEST(CommandWords, take_only_what_a_shell_gets_apart) {
  const Environment environment = {{"PW", "sesame"}};
  EXPECT_THAT(command_words({"docker-entrypoint.sh", "redis-server", "--requirepass", "two words $PW"}, environment),
              ElementsAre("docker-entrypoint.sh", "redis-server", "--requirepass", "two words $PW"));
  EXPECT_THAT(command_words({"/bin/sh", "-ec", "redis-server --requirepass $PW"}, environment),
              ElementsAre("/bin/sh", "-ec", "redis-server", "--requirepass", "sesame"));
  EXPECT_THAT(command_words({"bash", "--login", "/start.sh", "-p"}, environment),
              ElementsAre("bash", "--login", "/start.sh", "-p"));
}

TEST(Option, is_found_in_each_way_of_writing_it) {
  EXPECT_THAT(option({"redis-server", "--port", "7000"}, {"--port"}), Optional(std::string("7000")));
  EXPECT_THAT(option({"mysqld", "--port=3307"}, {"--port", "-P"}), Optional(std::string("3307")));
  EXPECT_THAT(option({"memcached", "-p11212"}, {"--port", "-p"}), Optional(std::string("11212")));
  EXPECT_THAT(option({"memcached", "-p", "1", "-p", "2"}, {"-p"}), Optional(std::string("2")));
  EXPECT_EQ(option({"redis-server", "--portable", "--port"}, {"--port"}), std::nullopt);
}

}  // namespace
}  // namespace qd::observe::discovery
