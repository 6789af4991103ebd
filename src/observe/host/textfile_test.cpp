#include "observe/host/textfile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;
using testing::Pair;

std::string why_refused(std::string_view text) {
  const auto families = read_textfile(text);
  return families ? "it is taken" : families.error().message();
}

TEST(Textfile, families_are_put_together) {
  const auto families = read_textfile(
      "# HELP a_total What it counts.\n# TYPE a_total counter\na_total{y=\"2\",x=\"1\",none=\"\"} 3\n"
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
      "# TYPE s summary\ns{quantile=\"0.5\"} 7\ns_sum 8\ns_count 9\n"
      "plain_count 4\n");
  ASSERT_TRUE(families) << families.error().message();
  ASSERT_EQ(families->size(), 4U);
  const TextFamily& counter = families->at("a_total");
  EXPECT_EQ(counter.type, model::MetricType::kCounter);
  EXPECT_EQ(counter.help, "What it counts.");
  EXPECT_THAT(counter.samples[0].labels, ElementsAre(Pair("x", "1"), Pair("y", "2")));
  EXPECT_EQ(families->at("h").samples.size(), 4U);
  EXPECT_EQ(families->at("h").samples[0].suffix, "_bucket");
  EXPECT_EQ(families->at("s").samples[1].suffix, "_sum");
  EXPECT_EQ(families->at("plain_count").type, model::MetricType::kUnknown);
}

TEST(Textfile, what_is_wrong_is_said) {
  EXPECT_THAT(why_refused("a 1\nb{ 2\n"), HasSubstr("line 2"));
  EXPECT_THAT(why_refused("a 1 1441205977284\n"), HasSubstr("time stamp"));
  EXPECT_THAT(why_refused("a{x=\"1\",y=\"\"} 1\na{x=\"1\"} 2\n"), HasSubstr("twice"));
  EXPECT_THAT(why_refused(std::string_view("a\0 1\n", 5)), HasSubstr("line 1"));
  std::string many;
  for (std::size_t i = 0; i <= kTextfileSamplesMax; ++i) many += "a{i=\"" + std::to_string(i) + "\"} 1\n";
  EXPECT_THAT(why_refused(many), HasSubstr("50000"));
}

class TextfileParts : public testing::Test {
 protected:
  RecordingSink collect() {
    if (!host_) {
      HostOptions options = tree_.options();
      options.textfile_directories = {tree_.at("texts*")};
      host_.emplace(options);
    }
    auto told = host_->collect();
    EXPECT_THAT(told.faults(), testing::IsEmpty());
    return told;
  }
  // With a time that differs from the last one's, as it does when somebody takes a while to write.
  void write(const std::string& path, std::string_view text) {
    tree_.write(path, text);
    std::filesystem::last_write_time(tree_.at(path),
                                     std::filesystem::file_time_type::clock::now() + std::chrono::seconds(++writes_));
  }

  Tree tree_;
  std::optional<TreeHost> host_;
  int writes_ = 0;
};

constexpr const char* kError = "node_textfile_scrape_error";

TEST_F(TextfileParts, files_are_followed) {
  write("texts/a.prom", "backup_age_seconds 7\n");
  write("texts/ignored.txt", "other 1\n");
  const auto first = collect();
  EXPECT_THAT(first.value("backup_age_seconds"), Optional(7));
  EXPECT_THAT(first.helps(),
              testing::Contains(Pair("backup_age_seconds", "Metric read from " + tree_.at("texts/a.prom"))));
  EXPECT_THAT(first.value(kError), Optional(0));
  EXPECT_THAT(first.value("node_textfile_mtime_seconds{file=\"" + tree_.at("texts/a.prom") + "\"}"),
              Optional(testing::Gt(1e9)));
  write("texts/a.prom", "backup_age_seconds 8\n");
  write("texts2/b.prom", "other 2\n");
  const auto second = collect();
  EXPECT_THAT(second.value("backup_age_seconds"), Optional(8));
  EXPECT_THAT(second.value("other"), Optional(2));
  tree_.remove("texts/a.prom");
  const auto third = collect();
  EXPECT_EQ(third.value("backup_age_seconds"), std::nullopt);
  EXPECT_THAT(third.value("other"), Optional(2));
}

TEST_F(TextfileParts, a_broken_file_loses_itself_alone) {
  write("texts/good.prom", "good 1\n");
  write("texts/torn.prom", "torn 1\ntorn{");
  write("texts/stamped.prom", "stamped 1 1441205977284\n");
  write("texts/other_type.prom", "# TYPE good counter\ngood{x=\"1\"} 1\nlost 1\n");
  write("texts/twice.prom", "good 2\nlost 1\n");
  ASSERT_EQ(::mkfifo(tree_.at("texts/pipe.prom").c_str(), 0600), 0);
  std::filesystem::create_directories(tree_.at("texts/directory.prom"));
  const auto told = collect();
  EXPECT_THAT(told.value("good"), Optional(1));
  for (const char* lost : {"torn", "stamped", "lost"}) EXPECT_EQ(told.value(lost), std::nullopt) << lost;
  EXPECT_THAT(told.value(kError), Optional(1));
  EXPECT_THAT(told.value("node_scrape_collector_success{collector=\"textfile\"}"), Optional(1));
  write("texts/torn.prom", "torn 1\n");
  EXPECT_THAT(collect().value("torn"), Optional(1));
}

TEST_F(TextfileParts, files_share_families_but_take_none_of_the_collector) {
  write("texts/a.prom", "# HELP shared From a.\nshared{file=\"a\"} 1\nnode_load1 99\nnode_textfile_scrape_error 7\n");
  write("texts/b.prom", "shared{file=\"b\"} 2\n");
  tree_.write("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n");
  for (int pass = 0; pass < 2; ++pass) {
    const auto told = collect();
    EXPECT_THAT(told.value(R"(shared{file="a"})"), Optional(1));
    EXPECT_THAT(told.value(R"(shared{file="b"})"), Optional(2));
    EXPECT_THAT(told.helps(), testing::Contains(Pair("shared", "From a.")));
    EXPECT_THAT(told.value("node_load1"), Optional(0.21));
    EXPECT_THAT(told.value(kError), Optional(1));
  }
}

TEST_F(TextfileParts, a_file_is_read_once_its_rights_allow_it) {
  write("texts/a.prom", "secret 1\n");
  const auto others = std::filesystem::perms(0755);
  for (const char* directory : {"", "texts"}) std::filesystem::permissions(tree_.at(directory), others);
  std::filesystem::permissions(tree_.at("texts/a.prom"), std::filesystem::perms::none);
  // Of this thread alone; root reads whatever the rights.
  const int user = ::setfsuid(65534);
  const auto refused = collect();
  EXPECT_EQ(refused.value("secret"), std::nullopt);
  EXPECT_THAT(refused.value(kError), Optional(1));
  ::setfsuid(static_cast<uid_t>(user));
  std::filesystem::permissions(tree_.at("texts/a.prom"), std::filesystem::perms(0644));
  const auto told = collect();
  EXPECT_THAT(told.value("secret"), Optional(1));
  EXPECT_THAT(told.value(kError), Optional(0));
}

TEST_F(TextfileParts, a_link_to_nothing_is_complained_of_once_and_read_when_there_is_something) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  base::ManualClock clock;
  base::Log log(clock, ::fileno(file), base::LogFormat::kJson, base::LogLevel::kInfo);
  HostOptions options = tree_.options();
  options.textfile_directories = {tree_.at("texts")};
  HostCollector collector(options, clock, log);
  const auto pass = [&] {
    RecordingSink sink;
    EXPECT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, sink));
    return sink;
  };
  std::filesystem::create_directories(tree_.at("texts"));
  std::filesystem::create_symlink(tree_.at("later"), tree_.at("texts/a.prom"));
  EXPECT_THAT(pass().value(kError), Optional(1));
  EXPECT_THAT(pass().value(kError), Optional(1));
  tree_.write("later", "at_last 1\n");
  EXPECT_THAT(pass().value("at_last"), Optional(1));
  std::rewind(file);
  std::string said(64 << 10, '\0');
  said.resize(std::fread(said.data(), 1, said.size(), file));
  std::fclose(file);
  const auto complaint = said.find("a file of metrics is left out");
  ASSERT_NE(complaint, std::string::npos);
  EXPECT_THAT(said.substr(complaint), HasSubstr("No such file"));
  EXPECT_EQ(said.find("a file of metrics is left out", complaint + 1), std::string::npos) << said;
}

TEST_F(TextfileParts, a_pass_that_ends_early_loses_no_change) {
  write("texts/a.prom", "first 1\n");
  write("texts/b.prom", "second 1\n");
  HostOptions options = tree_.options();
  options.textfile_directories = {tree_.at("texts")};
  for (const PartKind& kind : part_kinds()) options.collectors[std::string(kind.name)] = kind.name == "textfile";
  constexpr std::int64_t kLookNs = 1'000'000;
  SlowClock clock(kLookNs);
  HostCollector collector(options, clock, base::Log::silent());
  RecordingSink before, early, after;
  ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, before));
  EXPECT_THAT(before.value("first"), Optional(1));
  write("texts/a.prom", "first 2\n");
  // The part has half of what is left after the first look, which is enough for one file.
  ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 4 * kLookNs, early));
  EXPECT_EQ(early.value("first"), std::nullopt);
  ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, after));
  EXPECT_THAT(after.value("first"), Optional(2));
  EXPECT_THAT(after.value("second"), Optional(1));
}

TEST_F(TextfileParts, a_directory_that_is_not_there_is_an_error) {
  EXPECT_THAT(collect().value(kError), Optional(1));
}

}  // namespace
}  // namespace qd::observe::host
