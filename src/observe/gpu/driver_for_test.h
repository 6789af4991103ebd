// A machine with GPUs for tests: the stand-in for the driver's library, its script, and a tree of /proc.
#pragma once

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/clock.h"
#include "base/strings.h"
#include "base/temp_directory.h"
#include "observe/container.h"
#include "observe/gpu/families.h"
#include "observe/gpu/gpu.h"
#include "observe/gpu/options.h"
#include "observe/recording_sink.h"

namespace qd::observe::gpu {

// The stand-in, with all functions; in gpu_test.cpp.
extern const char* const kStandIn;

inline constexpr std::string_view kOneGpu =
    "gpus 1\n"
    "driver 550.54.15\n"
    "0 uuid GPU-aa\n"
    "0 name NVIDIA H100 80GB HBM3\n"
    "0 bus 00000000:18:00.0\n";

// The labels that every sample of this GPU has, as RecordingSink orders them around others.
inline std::string of_gpu(const std::string& name, const std::string& more = {}) {
  std::string labels =
      "DCGM_FI_DRIVER_VERSION=\"550.54.15\",Hostname=\"deck\",UUID=\"GPU-aa\",device=\"nvidia0\",gpu=\"0\","
      "modelName=\"NVIDIA H100 80GB HBM3\",pci_bus_id=\"00000000:18:00.0\"";
  if (!more.empty()) labels += "," + more;
  // RecordingSink sorts by name.
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t at = 0; (at = labels.find("\",", at)) != std::string::npos; begin = at) {
    parts.push_back(labels.substr(begin, at + 1 - begin));
    at += 2;
  }
  parts.push_back(labels.substr(begin));
  std::sort(parts.begin(), parts.end());
  std::string key = name;
  for (std::size_t i = 0; i < parts.size(); ++i) key += (i == 0 ? "{" : ",") + parts[i];
  return key + "}";
}

class Driver {
 public:
  Driver() { QD_ASSERT(::setenv("QD_NVML_SCRIPT", at("script").c_str(), 1) == 0); }

  // Replaces the script at once, whoever reads it.
  void script(std::string_view text) {
    write("script.new", text);
    std::filesystem::rename(directory_ / "script.new", directory_ / "script");
  }
  void write(const std::string& path, std::string_view content) {
    std::filesystem::create_directories((directory_ / path).parent_path());
    std::ofstream(directory_ / path, std::ios::binary) << content;
  }
  // A process of this machine, in a container when `container_id` says so.
  void process(std::uint32_t pid, std::string_view name, const std::string& container_id = {}) {
    const std::string place = "proc/" + std::to_string(pid);
    write(place + "/comm", std::string(name) + "\n");
    write(place + "/cgroup", container_id.empty() ? "0::/user.slice\n" : "0::/docker/" + container_id + "\n");
  }
  std::string at(const std::string& path) const { return (directory_ / path).native(); }

  Options options;
  std::vector<Container> containers;
  std::shared_ptr<base::ManualClock> clock = std::make_shared<base::ManualClock>();

  std::unique_ptr<GpuCollector> collector() {
    Options here = options;
    if (here.library == Options().library) here.library = kStandIn;
    here.procfs = at("proc");
    return std::make_unique<GpuCollector>(
        here, "deck", [this] { return std::make_shared<const std::vector<Container>>(containers); }, clock);
  }
  // Until the library is closed by all who had it open, a thread that hung in it among them.
  void wait_until_closed() const {
    for (int i = 0; i < 4'000; ++i) {
      void* open = ::dlopen(kStandIn, RTLD_NOW | RTLD_NOLOAD);
      if (open == nullptr) return;
      ::dlclose(open);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    QD_ASSERT(false, "the stand-in was not closed within 20 s");
  }
  std::int64_t within_ms(std::int64_t ms) const { return clock->monotonic_ns() + ms * 1'000'000; }

 private:
  base::TempDirectory directory_;
};

// A pass, and what came of it.
struct Pass {
  RecordingSink sink;
  base::Status status;
  std::optional<base::Error> trouble;
};

// Every family that came is in the table, and has no labels but those of the table and observe.gpu.labels.
inline void expect_in_table(const RecordingSink& sink) {
  std::map<std::string, const FamilyInfo*, std::less<>> table;
  for (const FamilyInfo& family : families())
    EXPECT_TRUE(table.emplace(family.name, &family).second) << family.name << " stands twice";
  std::set<std::string, std::less<>> always = {"container", "pod", "namespace"};
  for (const auto field : label_fields()) always.emplace(field);
  for (const auto& [name, type] : sink.types()) {
    ASSERT_TRUE(table.contains(name)) << name;
    EXPECT_EQ(table[name]->type, type) << name;
    EXPECT_EQ(table[name]->help, sink.helps().find(name)->second);
  }
  for (const auto& [key, value] : sink.values()) {
    const std::string name = key.substr(0, key.find('{'));
    const auto known = base::split(table.at(name)->labels, ',');
    for (std::size_t at = 0; (at = key.find("=\"", at)) != std::string::npos; ++at) {
      const auto from = key.find_last_of("{,", at) + 1;
      const std::string label = key.substr(from, at - from);
      EXPECT_TRUE(always.contains(label) || std::ranges::find(known, label) != known.end()) << key << ": " << label;
    }
  }
}

inline void collect(GpuCollector& collector, const Driver& driver, Pass& told, std::int64_t ms = 20'000) {
  told.status = collector.collect(driver.within_ms(ms), told.sink);
  if (collector.trouble() != nullptr) told.trouble = *collector.trouble();
  EXPECT_THAT(told.sink.faults(), testing::IsEmpty());
  expect_in_table(told.sink);
}

}  // namespace qd::observe::gpu
