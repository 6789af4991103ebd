// Recorded trees of /proc and /sys for tests: small ones written file by file, and the large ones of the conformance
// data.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/temp_directory.h"
#include "observe/host/host.h"
#include "observe/recording_sink.h"

namespace qd::observe::host {

class Tree {
 public:
  // A file below the tree's directory: "proc/stat".
  void write(const std::string& path, std::string_view content) {
    std::filesystem::create_directories((directory_ / path).parent_path());
    std::ofstream(directory_ / path, std::ios::binary) << content;
  }
  void remove(const std::string& path) { std::filesystem::remove_all(directory_ / path); }
  std::string at(const std::string& path) const { return (directory_ / path).native(); }

  HostOptions options() const { return {true, at("proc"), at("sys"), at("root"), {}}; }

  // What the collector reads of the archive of that name in the conformance data, unpacked here; false where the data
  // is absent.
  bool unpack(const std::string& name) {
    const auto archive = std::filesystem::path(QD_SOURCE_DIR) / "../shared/conformance/host" / (name + ".tar.gz");
    if (!std::filesystem::exists(archive)) return false;
    const std::string command = "tar -xzf '" + archive.native() + "' -C '" + directory_.path().native() +
                                "' ./proc ./udev ./sys/devices/system";
    QD_ASSERT(std::system(command.c_str()) == 0, command);
    return true;
  }

 private:
  base::TempDirectory directory_;
};

// A collector over a tree, on a manual clock.
class TreeHost {
 public:
  explicit TreeHost(const Tree& tree) : collector_(tree.options(), clock_, base::Log::silent()) {}

  RecordingSink collect() {
    RecordingSink sink;
    const auto status = collector_.collect(clock_.monotonic_ns() + 5'000'000'000, sink);
    QD_ASSERT(status.has_value());
    clock_.advance_ms(5000);
    return sink;
  }
  base::ManualClock& clock() { return clock_; }

 private:
  base::ManualClock clock_;
  HostCollector collector_;
};

}  // namespace qd::observe::host
