// The recorded trees of the conformance data give what node_exporter says of them: testdata/README.md.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "base/strings.h"
#include "model/metadata.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

struct Facts {
  std::map<std::string, std::string> types;
  std::map<std::string, std::string> helps;
  std::map<std::string, double> values;

  // Parts that the facts say something of.
  bool tell_of(std::string_view part) const {
    return values.contains("node_scrape_collector_success{collector=\"" + std::string(part) + "\"}");
  }
};

void read_facts(const std::string& name, Facts& facts) {
  std::ifstream file(std::string(QD_SOURCE_DIR) + "/src/observe/host/testdata/" + name);
  ASSERT_TRUE(file) << name;
  for (std::string line; std::getline(file, line);) {
    const auto blank = line.rfind(' ');
    if (line.starts_with("HELP ")) {
      const auto end = line.find(' ', 5);
      facts.helps[line.substr(5, end - 5)] = line.substr(end + 1);
    } else if (line.starts_with("TYPE ")) {
      facts.types[line.substr(5, blank - 5)] = line.substr(blank + 1);
    } else if (line.starts_with("NOT ")) {
      ASSERT_EQ(facts.values.erase(line.substr(4)), 1U) << line;
    } else {
      facts.values[line.substr(0, blank)] = *base::parse_float(line.substr(blank + 1));
    }
  }
}

// What is of the machine that the test runs on.
bool is_local(std::string_view metric) {
  static constexpr std::array<std::string_view, 11> kPrefixes = {"node_scrape_collector_duration",
                                                                 "node_time_seconds",
                                                                 "node_time_zone",
                                                                 "node_timex",
                                                                 "node_uname",
                                                                 "node_os_",
                                                                 "node_filesystem_size",
                                                                 "node_filesystem_free",
                                                                 "node_filesystem_avail",
                                                                 "node_filesystem_files",
                                                                 "node_filesystem_purgeable"};
  for (const auto prefix : kPrefixes) {
    if (metric.starts_with(prefix)) return true;
  }
  return false;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

void expect_conformance(const std::string& name, const Tree& tree) {
  Facts expected;
  ASSERT_NO_FATAL_FAILURE(read_facts(name + ".txt", expected));
  ASSERT_NO_FATAL_FAILURE(read_facts("help-1.5.0.txt", expected));
  ASSERT_NO_FATAL_FAILURE(read_facts(name + ".added.txt", expected));

  HostOptions options = tree.options();
  for (const PartKind& kind : part_kinds()) options.collectors[std::string(kind.name)] = expected.tell_of(kind.name);
  TreeHost host(options);
  for (int pass = 0; pass < 2; ++pass) {
    const auto told = host.collect();
    EXPECT_THAT(told.faults(), testing::IsEmpty());
    std::map<std::string, double> values;
    for (const auto& [key, value] : told.values()) {
      if (!is_local(key)) values.emplace(replaced(key, tree.at(""), "TREE/"), value);
    }
    // Key by key, for a readable failure.
    for (const auto& [key, value] : expected.values) {
      const auto found = values.find(key);
      EXPECT_EQ(found == values.end() ? std::nullopt : std::optional(found->second), value)
          << key << " in pass " << pass;
    }
    for (const auto& [key, value] : values) EXPECT_TRUE(expected.values.contains(key)) << key << " in pass " << pass;
    for (const auto& [metric, type] : expected.types) {
      const auto found = told.types().find(metric);
      ASSERT_NE(found, told.types().end()) << metric;
      EXPECT_EQ(found->second, model::parse_metric_type(type)) << metric;
    }
    for (const auto& [metric, help] : told.helps()) {
      const auto found = expected.helps.find(metric);
      ASSERT_NE(found, expected.helps.end()) << metric;
      EXPECT_EQ(help, found->second) << metric;
    }
  }
}

void expect_conformance_of_recorded(const std::string& name) {
  Tree tree;
  if (!tree.unpack(name)) GTEST_SKIP() << "the conformance data is absent";
  tree.write("root/etc/os-release", "ID=debian\n");
  std::filesystem::create_directories(tree.at("root/run/udev"));
  std::filesystem::create_symlink(tree.at("udev/data"), tree.at("root/run/udev/data"));
  expect_conformance(name, tree);
}

TEST(HostConformance, tree_of_release_1_5) {
  expect_conformance_of_recorded("node-1.5.0");
}

TEST(HostConformance, tree_of_release_1_12) {
  expect_conformance_of_recorded("node-1.12");
}

TEST(HostConformance, tree_with_every_kind_of_file) {
  Tree tree;
  tree.make("made.tree");
  expect_conformance("made", tree);
}

// Needs none of the conformance data: the trees have no such files.
TEST(HostConformance, help_of_what_the_trees_lack) {
  Facts expected;
  ASSERT_NO_FATAL_FAILURE(read_facts("help-1.5.0.txt", expected));
  Tree tree;
  tree.write("root/etc/os-release", "ID=debian\nVERSION_ID=12\n");
  for (const char* file : {"cpuinfo_cur_freq", "cpuinfo_min_freq", "cpuinfo_max_freq"}) {
    tree.write(std::string("sys/devices/system/cpu/cpu0/cpufreq/") + file, "800000\n");
  }
  const auto told = TreeHost(tree).collect();
  for (const char* metric : {"node_os_version", "node_cpu_frequency_hertz", "node_cpu_frequency_min_hertz",
                             "node_cpu_frequency_max_hertz"}) {
    const auto found = told.helps().find(metric);
    ASSERT_NE(found, told.helps().end()) << metric;
    EXPECT_EQ(found->second, expected.helps.at(metric)) << metric;
  }
}

}  // namespace
}  // namespace qd::observe::host
