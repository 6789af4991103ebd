#include "model/config/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace qd::model::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReloadTest : public ::testing::Test {
 protected:
  Participant good(const std::string& name) {
    return {name, [this, name]() -> base::Result<Participant::Commit> {
              steps_.push_back("prepare " + name);
              return [this, name] { steps_.push_back("commit " + name); };
            }};
  }
  Participant bad(const std::string& name) {
    return {name, [this, name]() -> base::Result<Participant::Commit> {
              steps_.push_back("refuse " + name);
              return base::fail(base::ErrorCode::kNotFound, "no rules in " + name);
            }};
  }

  std::vector<std::string> steps_;
};

TEST_F(ReloadTest, all_prepare_before_any_commits) {
  const std::vector<Participant> participants = {good("a"), good("b")};
  EXPECT_TRUE(reload(participants));
  EXPECT_THAT(steps_, ElementsAre("prepare a", "prepare b", "commit a", "commit b"));
}

TEST_F(ReloadTest, one_refusal_keeps_everything_as_it_is_and_every_refusal_is_told) {
  const std::vector<Participant> participants = {good("a"), bad("b"), good("c"), bad("d")};
  const auto status = reload(participants);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), base::ErrorCode::kNotFound);
  EXPECT_THAT(status.error().message(), HasSubstr("\nb: no rules in b\nd: no rules in d"));
  EXPECT_THAT(steps_, ElementsAre("prepare a", "refuse b", "prepare c", "refuse d"));
}

TEST_F(ReloadTest, a_participant_may_have_nothing_to_commit) {
  const std::vector<Participant> participants = {{"a", [] { return Participant::Commit(); }}, good("b")};
  EXPECT_TRUE(reload(participants));
  EXPECT_THAT(steps_, ElementsAre("prepare b", "commit b"));
}

}  // namespace
}  // namespace qd::model::config
