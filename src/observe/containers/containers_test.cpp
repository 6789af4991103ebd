#include "observe/containers/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "observe/containers/families.h"
#include "observe/containers/tree_for_test.h"

namespace qd::observe::containers {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Optional;
using testing::StartsWith;

// The value of a family for a container: labels beside those of `shown`, in order of their names.
class Told {
 public:
  Told(const RecordingSink& sink, std::string labels) : sink_(sink), labels_(std::move(labels)) {}
  std::optional<double> operator()(const std::string& family) const {
    return sink_.value("container_" + family + "{" + labels_ + "}");
  }

 private:
  const RecordingSink& sink_;
  std::string labels_;
};

std::string labels_of(const std::string& path) {
  return "container_label_com_docker_compose_project=\"shop\",id=\"" + path + "\",image=\"nginx:1.25\",name=\"web\"";
}

void expect_common_figures(const RecordingSink& sink, const std::string& path) {
  const Told told(sink, labels_of(path));
  EXPECT_THAT(sink.faults(), IsEmpty());
  EXPECT_THAT(told("cpu_user_seconds_total"), Optional(1));
  EXPECT_THAT(told("cpu_system_seconds_total"), Optional(0.5));
  EXPECT_THAT(told("cpu_cfs_periods_total"), Optional(10));
  EXPECT_THAT(told("cpu_cfs_throttled_periods_total"), Optional(3));
  EXPECT_THAT(told("cpu_cfs_throttled_seconds_total"), Optional(0.25));
  EXPECT_THAT(told("cpu_cfs_burst_periods_total"), Optional(2));
  EXPECT_THAT(told("cpu_cfs_burst_seconds_total"), Optional(0.001));
  EXPECT_THAT(told("spec_cpu_quota"), Optional(50'000));
  EXPECT_THAT(told("spec_cpu_period"), Optional(100'000));
  EXPECT_THAT(told("memory_usage_bytes"), Optional(10'485'760));
  EXPECT_THAT(told("memory_max_usage_bytes"), Optional(20'971'520));
  EXPECT_THAT(told("memory_working_set_bytes"), Optional(10'485'760 - 4'194'304));
  EXPECT_THAT(told("memory_cache"), Optional(7'000'000));
  EXPECT_THAT(told("memory_rss"), Optional(3'145'728));
  EXPECT_THAT(told("memory_swap"), Optional(4096));
  EXPECT_THAT(told("memory_mapped_file"), Optional(1'048'576));
  EXPECT_THAT(told("memory_kernel_usage"), Optional(262'144));
  EXPECT_THAT(told("memory_failcnt"), Optional(6));
  EXPECT_THAT(told("memory_file_dirty_bytes"), Optional(8192));
  EXPECT_THAT(told("memory_workingset_refault_file_total"), Optional(44));
  EXPECT_THAT(told("spec_memory_limit_bytes"), Optional(67'108'864));
  EXPECT_THAT(told("oom_events_total"), Optional(1));
  EXPECT_THAT(told("processes"), Optional(2));
  EXPECT_THAT(told("threads"), Optional(3));
  EXPECT_THAT(told("health_state"), Optional(1));
  EXPECT_THAT(told("creation_time_seconds"), Optional(1'700'000'000));
  EXPECT_THAT(told("start_time_seconds"), Optional(1'700'000'010));
  EXPECT_THAT(told("last_seen"), Optional(1'700'000'000));
  const auto more = [&](const std::string& family, const std::string& before, const std::string& behind) {
    return sink.value("container_" + family + "{" + before + behind + "}");
  };
  EXPECT_THAT(
      more("cpu_usage_seconds_total", "container_label_com_docker_compose_project=\"shop\",cpu=\"total\",id=\"" + path,
           "\",image=\"nginx:1.25\",name=\"web\""),
      Optional(1.5));
  const std::string of_device = "container_label_com_docker_compose_project=\"shop\",device=\"/dev/sda\",id=\"" + path +
                                "\",image=\"nginx:1.25\"";
  EXPECT_THAT(more("fs_reads_bytes_total", of_device, ",name=\"web\""), Optional(90'430'464));
  EXPECT_THAT(more("fs_writes_bytes_total", of_device, ",name=\"web\""), Optional(299'008'000));
  EXPECT_THAT(more("fs_reads_total", of_device, ",name=\"web\""), Optional(8950));
  EXPECT_THAT(more("fs_writes_total", of_device, ",name=\"web\""), Optional(1252));
  EXPECT_THAT(more("blkio_device_usage_total", of_device, ",major=\"8\",minor=\"0\",name=\"web\",operation=\"Write\""),
              Optional(299'008'000));
  EXPECT_THAT(more("network_receive_bytes_total",
                   labels_of(path).replace(labels_of(path).find(",name"), 0, ",interface=\"eth0\""), ""),
              Optional(123));
}

void write_processes(Tree& tree) {
  tree.write("proc/4242/net/dev", Tree::network("eth0", 123));
  tree.write("proc/4242/limits",
             "Limit                     Soft Limit           Hard Limit           Units     \n"
             "Max cpu time              unlimited            unlimited            seconds   \n"
             "Max open files            1024                 524288               files     \n");
  tree.make("proc/4242/fd");
  tree.make("proc/4243/fd");
  std::filesystem::create_symlink("/dev/null", tree.at("proc/4242/fd/0"));
  std::filesystem::create_symlink("socket:[12345]", tree.at("proc/4242/fd/3"));
  std::filesystem::create_symlink("socket:[12346]", tree.at("proc/4243/fd/3"));
}

TEST(Containers, version_2_under_systemd_is_told) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  const std::string id = test_id(1);
  tree.write_version_2("system.slice/docker-" + id + ".scope");
  write_processes(tree);
  TreeMachine machine(tree);
  machine.set_containers({test_container(id, "web")});
  const RecordingSink sink = machine.collect();
  const std::string path = "/system.slice/docker-" + id + ".scope";
  expect_common_figures(sink, path);
  const Told told(sink, labels_of(path));
  EXPECT_THAT(told("memory_events_high_total"), Optional(5));
  EXPECT_THAT(told("memory_events_max_total"), Optional(6));
  EXPECT_THAT(told("memory_pgscan_total"), Optional(77));
  EXPECT_THAT(told("memory_pgsteal_total"), Optional(66));
  EXPECT_THAT(told("spec_cpu_shares"), Optional(2 + 99 * 262142 / 9999));
  EXPECT_THAT(told("spec_memory_reservation_limit_bytes"), Optional(33'554'432));
  EXPECT_THAT(told("spec_memory_swap_limit_bytes"), Optional(0)) << "0 says that there is no limit";
  EXPECT_THAT(told("threads_max"), Optional(0));
  EXPECT_THAT(told("pressure_cpu_stalled_seconds_total"), Optional(0.0893));
  EXPECT_THAT(told("pressure_cpu_waiting_seconds_total"), Optional(0.093115));
  EXPECT_THAT(told("pressure_memory_stalled_seconds_total"), Optional(1));
  EXPECT_THAT(told("pressure_io_waiting_seconds_total"), Optional(17e-6));
  EXPECT_THAT(told("file_descriptors"), Optional(3));
  EXPECT_THAT(told("sockets"), Optional(2));
  EXPECT_THAT(sink.value("container_ulimits_soft{" + labels_of(path) + ",ulimit=\"max_open_files\"}"), Optional(1024));
  EXPECT_EQ(sink.value("container_scrape_error"), 0);
  EXPECT_EQ(machine.collector().trouble(), nullptr);
  // The slice around it, and the machine.
  EXPECT_TRUE(sink.value("container_last_seen{id=\"/system.slice\"}"));
  EXPECT_EQ(sink.value("container_memory_usage_bytes{id=\"/\"}"), 3000);
  EXPECT_EQ(sink.value("container_memory_working_set_bytes{id=\"/\"}"), 2500);
  EXPECT_EQ(sink.value("container_memory_swap{id=\"/\"}"), 100 * 1024);
  EXPECT_EQ(sink.value("container_cpu_usage_seconds_total{cpu=\"total\",id=\"/\"}"), 5);
  EXPECT_EQ(sink.value("container_spec_memory_limit_bytes{id=\"/\"}"), 2000 * 1024);
}

TEST(Containers, version_1_under_cgroupfs_is_told) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_1(false);
  const std::string id = test_id(1);
  tree.write_version_1("docker/" + id);
  write_processes(tree);
  TreeMachine machine(tree);
  machine.set_containers({test_container(id, "web")});
  const RecordingSink sink = machine.collect();
  expect_common_figures(sink, "/docker/" + id);
  const Told told(sink, labels_of("/docker/" + id));
  EXPECT_THAT(told("spec_cpu_shares"), Optional(512));
  EXPECT_THAT(told("spec_memory_swap_limit_bytes"), Optional(134'217'728));
  EXPECT_THAT(told("spec_memory_reservation_limit_bytes"), Optional(0));
  EXPECT_THAT(told("threads_max"), Optional(100));
  EXPECT_EQ(told("pressure_cpu_stalled_seconds_total"), std::nullopt);
  EXPECT_EQ(sink.value("container_memory_failures_total{container_label_com_docker_compose_project=\"shop\",failure_"
                       "type=\"pgfault\",id=\"/docker/" +
                       id + "\",image=\"nginx:1.25\",name=\"web\",scope=\"hierarchy\"}"),
            1234);
  EXPECT_EQ(
      sink.value("container_blkio_device_usage_total{container_label_com_docker_compose_project=\"shop\",device=\"/"
                 "dev/sda\",id=\"/docker/" +
                 id + "\",image=\"nginx:1.25\",major=\"8\",minor=\"0\",name=\"web\",operation=\"Total\"}"),
      389'438'464);
}

TEST(Containers, a_hybrid_machine_has_its_pressure_in_version_2) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_1(true);
  const std::string id = test_id(1);
  tree.write_version_1("docker/" + id);
  tree.write("sys/fs/cgroup/unified/docker/" + id + "/cpu.pressure",
             "some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\n");
  write_processes(tree);
  TreeMachine machine(tree);
  machine.set_containers({test_container(id, "web")});
  const RecordingSink sink = machine.collect();
  expect_common_figures(sink, "/docker/" + id);
  EXPECT_THAT(Told(sink, labels_of("/docker/" + id))("pressure_cpu_waiting_seconds_total"), Optional(3));
}

TEST(Containers, a_container_that_the_engine_does_not_know_has_its_id) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  const std::string path = "/docker/" + test_id(7);
  tree.write_version_2(path.substr(1));
  write_processes(tree);
  TreeMachine machine(tree);
  const RecordingSink sink = machine.collect();
  EXPECT_EQ(sink.value("container_memory_usage_bytes{id=\"" + path + "\"}"), 10'485'760);
  EXPECT_EQ(sink.value("container_network_receive_bytes_total{id=\"" + path + "\",interface=\"eth0\"}"), 123);
  EXPECT_FALSE(sink.value("container_health_state{id=\"" + path + "\"}"));
  // It is named as soon as the engine tells of it, and no longer when the engine has forgotten it.
  machine.set_containers({test_container(test_id(7), "web")});
  EXPECT_TRUE(machine.collect().value("container_memory_usage_bytes{" + labels_of(path) + "}"));
  machine.set_containers({});
  EXPECT_TRUE(machine.collect().value("container_memory_usage_bytes{id=\"" + path + "\"}"));
}

TEST(Containers, the_network_of_another_container_is_told_once) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  tree.write_version_2("docker/" + test_id(7));
  write_processes(tree);
  TreeMachine machine(tree);
  Container container = test_container(test_id(7), "web");
  container.network_mode = "container:" + test_id(8);
  machine.set_containers({container});
  const auto told = machine.collect();
  EXPECT_TRUE(told.value("container_network_receive_bytes_total{id=\"/\",interface=\"eth0\"}"));
  EXPECT_FALSE(
      told.value("container_network_receive_bytes_total{container_label_com_docker_compose_project=\"shop\",id="
                 "\"/docker/" +
                 test_id(7) + "\",image=\"nginx:1.25\",interface=\"eth0\",name=\"web\"}"));
}

TEST(Containers, one_that_dies_during_a_pass_is_no_error) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  const std::string path = "docker/" + test_id(1);
  tree.write_version_2(path);
  tree.write_version_2("docker/" + test_id(2));
  TreeMachine machine(tree);
  EXPECT_TRUE(machine.collect().value("container_last_seen{id=\"/" + path + "\"}"));
  // The directory is there and its files are gone, as between two calls of a removal.
  tree.remove("sys/fs/cgroup/" + path);
  tree.make("sys/fs/cgroup/" + path);
  const auto told = machine.collect();
  EXPECT_THAT(told.faults(), IsEmpty());
  EXPECT_FALSE(told.value("container_last_seen{id=\"/" + path + "\"}"));
  EXPECT_TRUE(told.value("container_last_seen{id=\"/docker/" + test_id(2) + "\"}"));
  EXPECT_EQ(told.value("container_scrape_error"), 0);
  EXPECT_EQ(machine.collector().trouble(), nullptr);
  tree.remove("sys/fs/cgroup/" + path);
  EXPECT_THAT(machine.collect().values(), Not(Contains(Key(HasSubstr(test_id(1))))));
}

TEST(Containers, limits_are_read_again_in_a_minute) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  tree.write_version_2("docker/" + test_id(1));
  TreeMachine machine(tree);
  machine.collect();
  tree.write("sys/fs/cgroup/docker/" + test_id(1) + "/memory.max", "max\n");
  for (int i = 0; i < 12; ++i) machine.collect();
  EXPECT_EQ(machine.collect().value("container_spec_memory_limit_bytes{id=\"/docker/" + test_id(1) + "\"}"), 0);
}

TEST(Containers, more_cgroups_than_the_limit_are_counted) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  constexpr std::size_t kContainers = 10'000;
  for (std::size_t i = 0; i < kContainers; ++i)
    tree.write("sys/fs/cgroup/docker/" + test_id(i) + "/memory.current", "1\n");
  tree.write("sys/fs/cgroup/docker/cgroup.procs", "");
  tree.write("sys/fs/cgroup/system.slice/some.service/memory.current", "1\n");
  Options options = tree.options();
  options.limit = 100;
  TreeMachine machine(options);
  machine.collect();
  const auto told = machine.collect();
  EXPECT_THAT(told.faults(), IsEmpty());
  std::size_t seen = 0;
  for (const auto& [name, value] : told.values()) seen += name.starts_with("container_last_seen") ? 1 : 0;
  EXPECT_EQ(seen, 100U);
  EXPECT_TRUE(told.value("container_last_seen{id=\"/\"}"));
  EXPECT_FALSE(told.value("container_last_seen{id=\"/system.slice/some.service\"}")) << "containers come first";
  EXPECT_EQ(told.value("container_scrape_error"), 1);
  ASSERT_NE(machine.collector().trouble(), nullptr);
  EXPECT_EQ(machine.collector().trouble()->code(), base::ErrorCode::kLimit);
  // The root, /docker, /system.slice and the service beside the containers.
  EXPECT_THAT(machine.collector().trouble()->message(), HasSubstr(std::to_string(kContainers + 4 - 100)));
  EXPECT_THAT(machine.collector().trouble()->message(), HasSubstr("observe.containers.limit"));
}

TEST(Containers, a_machine_without_control_groups_says_what_to_mount) {
  Tree tree;
  tree.write_machine();
  TreeMachine machine(tree);
  const auto told = machine.collect();
  EXPECT_EQ(told.value("container_scrape_error"), 1);
  ASSERT_NE(machine.collector().trouble(), nullptr);
  EXPECT_THAT(machine.collector().trouble()->message(), HasSubstr("mount -t cgroup2"));
  EXPECT_TRUE(told.value("machine_scrape_error"));
  tree.mount_version_2();
  EXPECT_EQ(machine.collect().value("container_scrape_error"), 0) << "they may come later";
  EXPECT_EQ(machine.collector().trouble(), nullptr);
}

TEST(Containers, files_that_may_not_be_read_are_named) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  tree.write_version_2("docker/" + test_id(1));
  std::filesystem::permissions(tree.at("."), std::filesystem::perms::all);
  const std::string secret = tree.at("sys/fs/cgroup/docker/" + test_id(1) + "/memory.current");
  std::filesystem::permissions(secret, std::filesystem::perms::none);
  ASSERT_EQ(::seteuid(65534), 0);
  TreeMachine machine(tree);
  const auto told = machine.collect();
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_TRUE(told.value("container_memory_rss{id=\"/docker/" + test_id(1) + "\"}")) << "the rest is told";
  ASSERT_NE(machine.collector().trouble(), nullptr);
  EXPECT_EQ(machine.collector().trouble()->code(), base::ErrorCode::kPermission);
  EXPECT_THAT(machine.collector().trouble()->message(), StartsWith(secret));
}

TEST(Containers, open_files_of_other_users_say_which_capability) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  tree.write_version_2("docker/" + test_id(1));
  write_processes(tree);
  std::filesystem::permissions(tree.at("."), std::filesystem::perms::all);
  std::filesystem::permissions(tree.at("proc/4242/fd"), std::filesystem::perms::owner_all);
  ASSERT_EQ(::seteuid(65534), 0);
  TreeMachine machine(tree);
  machine.collect();
  const auto told = machine.collect();
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_FALSE(told.value("container_sockets{id=\"/docker/" + test_id(1) + "\"}"));
  EXPECT_TRUE(told.value("container_processes{id=\"/docker/" + test_id(1) + "\"}"));
  EXPECT_EQ(told.value("container_scrape_error"), 0);
  ASSERT_NE(machine.collector().trouble(), nullptr);
  EXPECT_THAT(machine.collector().trouble()->message(), HasSubstr("CAP_SYS_PTRACE"));
}

TEST(Containers, a_pass_past_its_deadline_says_how_much_is_missing) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  tree.write_version_2("docker/" + test_id(1));
  TreeMachine machine(tree);
  RecordingSink sink;
  ASSERT_TRUE(machine.collector().collect(machine.clock().monotonic_ns(), sink));
  EXPECT_THAT(sink.faults(), IsEmpty());
  EXPECT_FALSE(sink.value("container_last_seen{id=\"/\"}"));
  ASSERT_NE(machine.collector().trouble(), nullptr);
  EXPECT_EQ(machine.collector().trouble()->code(), base::ErrorCode::kTimeout);
}

TEST(Containers, files_of_garbage_do_no_harm) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  const std::string at = "docker/" + test_id(1);
  tree.write_version_2(at);
  write_processes(tree);
  static constexpr char kGarbage[] =
      "8:0\n99999999999999999999:1 rbytes=1\n8:1 =\n: : :\n-1 x\n\0\xff\xfe {\"a\nsome total=\n8:0 Read\nmax\n";
  const std::string_view garbage(kGarbage, sizeof(kGarbage) - 1);
  for (const auto& entry : std::filesystem::directory_iterator(tree.at("sys/fs/cgroup/" + at)))
    tree.write("sys/fs/cgroup/" + at + "/" + entry.path().filename().native(), garbage);
  for (const char* file : {"proc/meminfo", "proc/diskstats", "proc/4242/net/dev", "proc/1/net/dev",
                           "sys/devices/system/cpu/online", "root/etc/os-release"})
    tree.write(file, garbage);
  TreeMachine machine(tree);
  const auto told = machine.collect();
  EXPECT_THAT(told.faults(), IsEmpty());
  EXPECT_TRUE(told.value("container_last_seen{id=\"/" + at + "\"}"));
  EXPECT_FALSE(told.value("container_memory_rss{id=\"/" + at + "\"}"));
}

TEST(Containers, the_machine_is_told) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  tree.make("root");
  TreeMachine machine(tree);
  const auto told = machine.collect();
  const std::string labels =
      "{boot_id=\"7007d320-126a-4e64-a254-8e933506996b\",machine_id=\"3d1219c7c4c5404aaa1f6d2a48adfda4\"}";
  EXPECT_EQ(told.value("machine_cpu_cores" + labels), 4);
  EXPECT_EQ(told.value("machine_cpu_physical_cores" + labels), 2);
  EXPECT_EQ(told.value("machine_cpu_sockets" + labels), 1);
  EXPECT_EQ(told.value("machine_memory_bytes" + labels), 2000 * 1024);
  EXPECT_EQ(told.value("machine_swap_bytes" + labels), 1000 * 1024);
  EXPECT_EQ(told.value("machine_scrape_error"), 0);
  EXPECT_THAT(told.values(), Contains(Key(AllOf(StartsWith("cadvisor_version_info{"), HasSubstr("6.1.0-18-amd64"),
                                                HasSubstr("Debian GNU/Linux 12 (bookworm)")))));
  // The file system that / is on, and its disk.
  EXPECT_TRUE(told.value("container_fs_usage_bytes{device=\"/dev/sda1\",id=\"/\"}"));
  EXPECT_EQ(told.value("container_fs_reads_total{device=\"/dev/sda1\",id=\"/\"}"), 9);
  EXPECT_EQ(told.value("container_fs_read_seconds_total{device=\"/dev/sda1\",id=\"/\"}"), 1);
}

// What a pass tells must stand in the table, with its type, its help and its labels.
TEST(Containers, all_families_stand_in_the_table) {
  std::map<std::string, const FamilyInfo*, std::less<>> table;
  for (const FamilyInfo& family : families()) {
    EXPECT_TRUE(table.emplace(family.name, &family).second) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
  }
  std::set<std::string, std::less<>> told_families;
  for (const bool version_2 : {true, false}) {
    Tree tree;
    tree.write_machine();
    const std::string id = test_id(1);
    if (version_2) {
      tree.mount_version_2();
      tree.write_version_2("docker/" + id);
      tree.write("sys/fs/cgroup/docker/" + id + "/io.stat",
                 "8:0 rbytes=1 wbytes=1 rios=1 wios=1 cost.usage=1 cost.wait=1 cost.indebt=1 cost.indelay=1\n");
    } else {
      tree.mount_version_1(true);
      tree.write_version_1("docker/" + id);
    }
    write_processes(tree);
    Options options = tree.options();
    options.labels = {"all"};
    options.environment = {"STAGE"};
    TreeMachine machine(options);
    machine.set_containers({test_container(id, "web")});
    const auto told = machine.collect();
    EXPECT_THAT(told.faults(), IsEmpty());
    for (const auto& [name, type] : told.types()) {
      told_families.insert(name);
      ASSERT_TRUE(table.contains(name)) << name;
      EXPECT_EQ(type, table[name]->type) << name;
      EXPECT_EQ(told.helps().at(name), table[name]->help) << name;
    }
    for (const auto& [sample, value] : told.values()) {
      const std::string name = sample.substr(0, sample.find('{'));
      const std::string known = "," + std::string(table[name]->labels) + ",";
      // Names stand before `="`, behind `{` or `",`.
      for (std::size_t at = sample.find('{'); at < sample.size() && at != std::string::npos;) {
        const std::size_t equals = sample.find("=\"", at);
        if (equals == std::string::npos) break;
        std::string label = sample.substr(at + 1, equals - at - 1);
        for (const char* prefix : {"container_label_", "container_env_"}) {
          if (label.starts_with(prefix)) label = std::string(prefix) + "*";
        }
        EXPECT_THAT(known, HasSubstr("," + label + ",")) << sample;
        at = sample.find("\",", equals);
        if (at != std::string::npos) ++at;
      }
    }
  }
  for (const FamilyInfo& family : families()) EXPECT_TRUE(told_families.contains(family.name)) << family.name;
}

TEST(Containers, what_cadvisor_has_is_told_or_left_out_with_a_reason) {
  std::ifstream list(std::filesystem::path(QD_SOURCE_DIR) / "../shared/conformance/exporters/cadvisor.tsv");
  if (!list) GTEST_SKIP() << "no conformance data";
  std::map<std::string, model::MetricType, std::less<>> told;
  for (const FamilyInfo& family : families()) told.emplace(family.name, family.type);
  const auto is_left_out = [](const std::string& name) {
    return std::ranges::any_of(left_out(), [&](const LeftOut& left) {
      return left.name.ends_with('*') ? name.starts_with(left.name.substr(0, left.name.size() - 1)) : name == left.name;
    });
  };
  for (std::string line; std::getline(list, line);) {
    const std::string name = line.substr(0, line.find('\t'));
    const std::string type = line.substr(line.rfind('\t') + 1);
    if (const auto found = told.find(name); found != told.end()) {
      EXPECT_EQ(type, found->second == model::MetricType::kCounter ? "counter" : "gauge") << name;
    } else {
      EXPECT_TRUE(is_left_out(name)) << name;
    }
  }
}

}  // namespace
}  // namespace qd::observe::containers
