#include "observe/containers/hierarchies.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "observe/scan.h"

namespace qd::observe::containers {
namespace {

bool lists(std::string_view words, char separator, std::string_view word) {
  while (!words.empty()) {
    const auto end = words.find(separator);
    if (words.substr(0, end) == word) return true;
    words = end == std::string_view::npos ? std::string_view() : words.substr(end + 1);
  }
  return false;
}

std::string without_escapes(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Several mounts of one hierarchy: the whole one in its usual place is the best.
struct Found {
  std::string directory;
  int rank = -1;
  void offer(const Mount& mount, const Roots& roots) {
    const int rank_of_mount = (mount.root == "/" ? 2 : 0) + (mount.point.starts_with("/sys/fs/cgroup") ? 1 : 0);
    if (rank_of_mount <= rank) return;
    std::string seen = roots.seen(mount.point);
    while (seen.ends_with('/')) seen.pop_back();
    if (::access(seen.c_str(), X_OK) != 0) return;
    directory = std::move(seen);
    rank = rank_of_mount;
  }
};

struct Named {
  Controller controller;
  std::string_view version_1;
  std::string_view version_2;
};
constexpr std::array<Named, 5> kNames = {{{Controller::kMemory, "memory", "memory"},
                                          {Controller::kCpu, "cpu", "cpu"},
                                          {Controller::kCpuTime, "cpuacct", {}},
                                          {Controller::kIo, "blkio", "io"},
                                          {Controller::kPids, "pids", "pids"}}};

void add_walked(Hierarchies& hierarchies, const std::string& directory) {
  auto& walked = hierarchies.walked;
  if (!directory.empty() && std::ranges::find(walked, directory) == walked.end()) walked.push_back(directory);
}

}  // namespace

bool parse_mount(std::string_view line, Mount& mount) {
  Scanner words(line);
  words.word();
  words.word();
  mount.device_number = words.word();
  mount.root = words.word();
  const std::string_view point = words.word();
  // Optional fields end with a lone "-".
  for (std::string_view word = words.word(); word != "-"; word = words.word()) {
    if (word.empty()) return false;
  }
  mount.type = words.word();
  mount.source = words.word();
  mount.super_options = words.word();
  if (mount.type.empty()) return false;
  mount.point = without_escapes(point);
  return true;
}

std::string machine_mounts(FileReader& reader, const Roots& roots) {
  // With the machine's /proc in another place, "self" would be seen from inside our own container.
  const bool own = roots.procfs == "/proc";
  for (const char* process : {own ? "/self/mountinfo" : "/1/mountinfo", own ? "/1/mountinfo" : "/self/mountinfo"}) {
    if (const auto text = reader.read_once((roots.procfs + process).c_str())) return std::string(*text);
  }
  return {};
}

base::Result<Hierarchies> find_hierarchies(FileReader& reader, const Roots& roots) {
  std::array<Found, kNames.size()> version_1;
  Found version_2;
  const std::string mounts = machine_mounts(reader, roots);
  Mount mount;
  for (Scanner lines(mounts); !lines.at_end();) {
    if (!parse_mount(lines.line(), mount)) continue;
    if (mount.type == "cgroup2") version_2.offer(mount, roots);
    if (mount.type != "cgroup") continue;
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (lists(mount.super_options, ',', kNames[i].version_1)) version_1[i].offer(mount, roots);
    }
  }
  const std::string usual = roots.sysfs + "/fs/cgroup";
  if (version_2.directory.empty() && ::access((usual + "/cgroup.controllers").c_str(), R_OK) == 0)
    version_2.directory = usual;

  Hierarchies hierarchies;
  std::string controllers;
  if (!version_2.directory.empty()) {
    if (const auto text = reader.read_once((version_2.directory + "/cgroup.controllers").c_str()))
      controllers = std::string(Scanner(*text).line());
    // Processor time is counted there without a controller.
    hierarchies.at(Controller::kCpuTime) = {version_2.directory, 2};
    hierarchies.at(Controller::kPressure) = {version_2.directory, 2};
  }
  bool any_version_1 = false;
  bool any_version_2 = false;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    Place& place = hierarchies.at(kNames[i].controller);
    if (!version_1[i].directory.empty()) {
      place = {version_1[i].directory, 1};
      any_version_1 = true;
    } else if (!kNames[i].version_2.empty() && lists(controllers, ' ', kNames[i].version_2)) {
      place = {version_2.directory, 2};
      any_version_2 = true;
    }
  }
  if (!any_version_1 && version_2.directory.empty()) {
    return base::fail(
        base::ErrorCode::kNotFound,
        fmt::format("No control groups are mounted here by {0}/{1}/mountinfo, nor in {2}. On a machine, mount them: "
                    "mount -t cgroup2 none /sys/fs/cgroup. In a container, show it the machine's: docker run "
                    "--cgroupns host -v /sys:{3}:ro -v /proc:/host/proc:ro, and set observe.host.procfs: /host/proc",
                    roots.procfs, roots.procfs == "/proc" ? "self" : "1", usual, roots.sysfs));
  }
  // Engines make a cgroup in every hierarchy; systemd makes one for a service where its controllers are switched on,
  // of which the memory's is by default.
  if (any_version_1) {
    for (const Controller controller : {Controller::kMemory, Controller::kCpu, Controller::kPids, Controller::kIo}) {
      if (hierarchies.walked.size() < 2 && hierarchies.at(controller).version == 1)
        add_walked(hierarchies, hierarchies.at(controller).directory);
    }
  }
  if (any_version_2 || !any_version_1) add_walked(hierarchies, version_2.directory);
  return hierarchies;
}

}  // namespace qd::observe::containers
