#include "observe/sd/file_sd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/temp_directory.h"
#include "observe/sd/discoveries.h"
#include "observe/sd/fakes_for_test.h"
#include "observe/sd/groups_text.h"

namespace qd::observe::sd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void write(const fs::path& file, std::string_view text) {
  // By renaming, as careful writers do: an inode of its own.
  std::ofstream(file.string() + ".new", std::ios::binary) << text;
  fs::rename(file.string() + ".new", file);
}

TEST(GroupsText, reads_json_and_yaml_alike) {
  const std::string json = R"([{"targets":["a:1","b:1"],"labels":{"x":"1"}},{"targets":["c:1"]}])";
  const std::string yaml = "- targets: [a:1, b:1]\n  labels: {x: 1}\n- targets: ['c:1']\n";
  const auto expected =
      "{__address__=\"a:1\", __meta_filepath=\"f\", x=\"1\"}\n{__address__=\"b:1\", __meta_filepath=\"f\", x=\"1\"}\n"
      "{__address__=\"c:1\", __meta_filepath=\"f\"}\n";
  EXPECT_EQ(text_of(*read_json_groups(json, "f", "__meta_filepath")), expected);
  EXPECT_EQ(text_of(*read_yaml_groups(yaml, "f", "__meta_filepath")), expected);
  EXPECT_EQ(read_json_groups(json, "f", "__meta_filepath")->at(1).source, "f:1");
  EXPECT_TRUE(read_json_groups("[]", "f", "x")->empty());
  EXPECT_TRUE(read_yaml_groups("", "f", "x")->empty());
}

TEST(GroupsText, refuses_another_form) {
  for (const char* const bad :
       {"{}", "[1]", R"([{"target":["a"]}])", R"([{"targets":"a"}])", R"([{"targets":[1]}])", R"([{"labels":{"a":1}}])",
        R"([{"labels":{"":"x"}}])", "[", "[[[[[[[[[[[[]]]]]]]]]]]]"}) {
    EXPECT_FALSE(read_json_groups(bad, "f", "x")) << bad;
  }
  for (const char* const bad : {"a: 1", "- 1", "- {target: [a]}", "- {targets: a}", "- targets: [[a]]"}) {
    EXPECT_FALSE(read_yaml_groups(bad, "f", "x")) << bad;
  }
}

TEST(FileDiscovery, a_broken_file_keeps_what_it_said_and_one_that_is_gone_does_not) {
  const base::TempDirectory dir;
  FakeSurroundings around;
  FileDiscovery files({.files = {(dir.path() / "*.json").string(), (dir.path() / "x.yml").string()}}, around.get());
  EXPECT_EQ(text_of(*files.look()), "");
  write(dir.path() / "a.json", R"([{"targets":["a:1"]}])");
  write(dir.path() / "x.yml", "- targets: ['x:1']\n");
  EXPECT_TRUE(files.changed());
  const std::string both = text_of(*files.look());
  EXPECT_THAT(both, HasSubstr("a:1"));
  EXPECT_THAT(both, HasSubstr("x:1"));
  EXPECT_FALSE(files.changed());
  write(dir.path() / "a.json", R"([{"targets":["b:1")");
  EXPECT_TRUE(files.changed());
  EXPECT_EQ(text_of(*files.look()), both);
  fs::remove(dir.path() / "a.json");
  EXPECT_TRUE(files.changed());
  EXPECT_THAT(text_of(*files.look()), testing::Not(HasSubstr("a:1")));
}

class DiscoveriesTest : public testing::Test {
 protected:
  void apply(std::vector<Discoveries::Job> jobs) {
    discoveries.apply(jobs);
    around.scheduler.advance_ms(1'000);
  }
  SdConfig files(const std::string& name) const {
    return FileSdConfig{.files = {(dir.path() / name).string()}, .refresh_interval_ms = 60'000};
  }

  const base::TempDirectory dir;
  FakeSurroundings around;
  std::vector<std::pair<std::string, std::string>> told;
  Discoveries discoveries{around.get(), [this](const std::string& job, const TargetGroups& groups) {
                            told.emplace_back(job, text_of(groups));
                          }};
};

TEST_F(DiscoveriesTest, tells_each_job_what_all_of_its_discoveries_found) {
  write(dir.path() / "a.json", R"([{"targets":["a:1"]}])");
  write(dir.path() / "b.json", R"([{"targets":["b:1"]}])");
  apply({{"one", {files("a.json"), files("b.json")}}, {"two", {files("a.json")}}, {"none", {}}});
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].first, "one");
  EXPECT_THAT(told[0].second, HasSubstr("a:1"));
  EXPECT_THAT(told[0].second, HasSubstr("b:1"));
  EXPECT_THAT(told[1].second, testing::Not(HasSubstr("b:1")));
  told.clear();
  // Nothing new, nothing told; a change is seen within a second, not at the next refresh.
  around.scheduler.advance_ms(5'000);
  EXPECT_TRUE(told.empty());
  write(dir.path() / "b.json", R"([{"targets":["c:1"]}])");
  around.scheduler.advance_ms(1'500);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told[0].second, HasSubstr("c:1"));
}

TEST_F(DiscoveriesTest, a_reload_keeps_discoveries_that_stay) {
  write(dir.path() / "a.json", R"([{"targets":["a:1"]}])");
  apply({{"one", {files("a.json")}}});
  told.clear();
  // The other job shares it; the file is not even looked at again.
  fs::remove(dir.path() / "a.json");
  discoveries.apply({{"one", {files("a.json")}}, {"two", {files("a.json")}}});
  around.scheduler.advance_ms(Discoveries::kSettleMs);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_THAT(told[1].second, HasSubstr("a:1"));
  told.clear();
  discoveries.stop();
  around.scheduler.advance_ms(10'000);
  EXPECT_TRUE(told.empty());
}

TEST_F(DiscoveriesTest, one_that_fails_does_not_take_the_targets_of_others) {
  write(dir.path() / "a.json", R"([{"targets":["a:1"]}])");
  const SdConfig http = HttpSdConfig{.url = "http://sd.invalid/targets", .refresh_interval_ms = 10'000};
  around.error = base::Error(base::ErrorCode::kUnavailable, "nobody there");
  apply({{"one", {files("a.json"), http}}});
  ASSERT_FALSE(told.empty());
  EXPECT_THAT(told.back().second, HasSubstr("a:1"));
  around.error.reset();
  around.answers["/targets"] = R"([{"targets":["h:1"],"labels":{"x":"y"}}])";
  around.scheduler.advance_ms(11'000);
  EXPECT_THAT(told.back().second, HasSubstr(R"({__address__="h:1", __meta_url="http://sd.invalid/targets", x="y"})"));
  EXPECT_EQ(around.requests.back().headers.get("X-Prometheus-Refresh-Interval-Seconds"), "10");
  // A list that is none keeps the one before.
  const std::size_t before = told.size();
  around.content_type = "text/html";
  around.answers["/targets"] = "<html>";
  around.scheduler.advance_ms(30'000);
  EXPECT_EQ(told.size(), before);
}

}  // namespace
}  // namespace qd::observe::sd
