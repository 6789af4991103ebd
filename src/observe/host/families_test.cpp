// What the collector tells and what its table says are one.

#include "observe/host/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "base/strings.h"
#include "observe/host/opt_in_families.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

// Files of which neither the recorded trees nor made.tree have any.
void write_the_rest(Tree& tree) {
  tree.write("proc/net/dev", "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
  tree.write("sys/class/net/eth0/statistics/rx_nohandler", "5\n");
  tree.write("proc/1/mountinfo", "29 1 259:2 / / rw - ext4 /dev/sda1 rw\n");
  tree.write("root/etc/os-release", "ID=debian\nVERSION_ID=12\n");
  tree.write("root/etc/selinux/config", "SELINUX=enforcing\n");
  tree.write("sys/fs/selinux/enforce", "1");
  for (const char* file : {"cpuinfo_cur_freq", "cpuinfo_min_freq", "cpuinfo_max_freq"}) {
    tree.write(std::string("sys/devices/system/cpu/cpu0/cpufreq/") + file, "800000\n");
  }
  tree.write("sys/devices/system/cpu/isolated", "1\n");
  for (const char* file : {"lifespan",
                           "duplicate_request",
                           "implied_nak_seq_err",
                           "local_ack_timeout_err",
                           "np_cnp_sent",
                           "np_ecn_marked_roce_packets",
                           "out_of_buffer",
                           "out_of_sequence",
                           "packet_seq_err",
                           "req_cqe_error",
                           "req_cqe_flush_error",
                           "req_remote_access_errors",
                           "req_remote_invalid_request",
                           "resp_cqe_error",
                           "resp_cqe_flush_error",
                           "resp_local_length_error",
                           "resp_remote_access_errors",
                           "rnr_nak_retry_err",
                           "roce_adp_retrans",
                           "roce_adp_retrans_to",
                           "roce_slow_restart",
                           "roce_slow_restart_cnps",
                           "roce_slow_restart_trans",
                           "rp_cnp_handled",
                           "rp_cnp_ignored",
                           "rx_atomic_requests",
                           "rx_dct_connect",
                           "rx_read_requests",
                           "rx_write_requests",
                           "rx_icrc_encapsulated"}) {
    tree.write(std::string("sys/class/infiniband/mlx5_0/ports/1/hw_counters/") + file, "12000\n");
  }
  tree.write("texts/a.prom", "my_metric 1\n");
}

// Whether `text` is of the form `pattern`, in which a star stands for any text but the empty one.
bool matches(std::string_view pattern, std::string_view text) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  for (std::size_t taken = 1; taken <= text.size(); ++taken) {
    if (matches(pattern.substr(star + 1), text.substr(taken))) return true;
  }
  return false;
}

// What the kernel itself is asked, not its files: their own tests hold them to their tables.
bool is_of_the_running_kernel(const FamilyInfo& family) {
  for (const auto& part : {ethtool_families(), perf_families(), systemd_families(), tcpstat_families()}) {
    for (const FamilyInfo& one : part) {
      if (one.name == family.name) return true;
    }
  }
  return false;
}

using Labels = std::set<std::string, std::less<>>;

Labels labels_of(std::string_view key) {
  Labels labels;
  for (std::size_t at = 0; (at = key.find("=\"", at)) != std::string_view::npos; ++at) {
    const auto from = key.find_last_of("{,", at) + 1;
    labels.emplace(key.substr(from, at - from));
  }
  return labels;
}

Labels labels_of(const FamilyInfo& family) {
  Labels labels;
  for (const auto label : base::split(family.labels, ',')) {
    if (!label.empty()) labels.emplace(label);
  }
  return labels;
}

// Told of a Btrfs that is mounted: tests/e2e/peers.test.mjs mounts one.
bool takes_a_mount(std::string_view name) {
  return name == "node_btrfs_device_errors_total" || name == "node_btrfs_device_size_bytes" ||
         name == "node_btrfs_device_unused_bytes";
}

class HostFamilies : public testing::Test {
 protected:
  void tell(const HostOptions& options) {
    TreeHost host(options);
    const auto told = host.collect();
    EXPECT_THAT(told.faults(), testing::IsEmpty());
    std::map<std::string, Labels, std::less<>> labels;
    for (const auto& [key, value] : told.values()) labels[key.substr(0, key.find('{'))].merge(labels_of(key));
    for (const auto& [name, type] : told.types()) {
      if (name == "my_metric") continue;
      const FamilyInfo* const row = row_of(name, type, told.helps().find(name)->second);
      ASSERT_NE(row, nullptr) << name << ": " << told.helps().find(name)->second;
      seen_[row].merge(labels[name]);
    }
  }

  // Of several, the one that says most of the name.
  static const FamilyInfo* row_of(std::string_view name, model::MetricType type, std::string_view help) {
    const FamilyInfo* best = nullptr;
    for (const FamilyInfo& row : families()) {
      if (!matches(row.name, name) || row.type != type || !matches(row.help, help)) continue;
      if (best == nullptr || row.name.size() > best->name.size()) best = &row;
    }
    return best;
  }

  std::map<const FamilyInfo*, Labels> seen_;
};

TEST_F(HostFamilies, the_table_is_what_is_told) {
  for (const char* recorded : {"node-1.5.0", "node-1.12"}) {
    Tree tree;
    if (!tree.unpack(recorded)) GTEST_SKIP() << "the conformance data is absent";
    std::filesystem::create_directories(tree.at("root/run/udev"));
    std::filesystem::create_symlink(tree.at("udev/data"), tree.at("root/run/udev/data"));
    ASSERT_NO_FATAL_FAILURE(tell(tree.options()));
  }
  Tree made;
  made.make("made.tree");
  ASSERT_NO_FATAL_FAILURE(tell(made.options()));
  Tree rest;
  write_the_rest(rest);
  HostOptions options = rest.options();
  options.textfile_directories = {rest.at("texts")};
  ASSERT_NO_FATAL_FAILURE(tell(options));

  std::set<std::string_view> names;
  for (const FamilyInfo& row : families()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " stands twice";
    if (takes_a_mount(row.name) || is_of_the_running_kernel(row)) continue;
    const auto told = seen_.find(&row);
    if (told == seen_.end()) {
      ADD_FAILURE() << row.name << " is never told";
      continue;
    }
    EXPECT_EQ(told->second, labels_of(row)) << row.name;
  }
}

}  // namespace
}  // namespace qd::observe::host
