// One GPU as the driver numbers it: asks everything that it tells, and remembers from pass to pass what is counted
// here.
//
// What a GPU or a driver does not have is left out. A GPU that is lost loses its figures; what is remembered of it is
// told on. Used by one thread at a time; forget the library before it is closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "observe/gpu/library.h"
#include "observe/gpu/options.h"
#include "observe/gpu/profiling.h"
#include "observe/gpu/reading.h"

namespace qd::observe::gpu {

// What happened within the last five minutes, which is how long dcgm-exporter counts.
class Recent {
 public:
  static constexpr std::int64_t kWindowMs = 300'000;
  // More are forgotten earlier.
  static constexpr std::size_t kEventsMax = 10'000;

  void add(std::int64_t now_ns, std::uint64_t what);
  Counts counts(std::int64_t now_ns);

 private:
  std::deque<std::pair<std::int64_t, std::uint64_t>> events_;
};

class Device {
 public:
  static constexpr std::size_t kInstancesMax = 16;
  // Asked for at once; the driver knows no larger number.
  static constexpr std::uint32_t kProcessesMax = 8'192;
  static constexpr std::uint32_t kUtilizationSamplesMax = 65'536;

  explicit Device(std::uint32_t index) : index_(index) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Finds out what stands at this index, when that is not known yet; an error when there is nothing to talk to.
  // `events` is null where the driver tells of none.
  base::Status meet(const Library& library, nvml::EventSet events, const Options& options);
  void take_xid(std::int64_t now_ns, std::uint64_t xid);
  void set_peers(std::vector<std::pair<std::uint32_t, std::uint32_t>> peers) { peers_ = std::move(peers); }
  // REQUIRES: meet() succeeded in this pass.
  DeviceReading read(const Library& library, const Options& options, std::int64_t now_ns);
  // What is told of it when meet() gave `error`.
  DeviceReading remembered(std::int64_t now_ns, base::Error error);

  void forget_library();

  nvml::Device handle() const { return handle_; }
  const std::string& uuid() const { return uuid_; }

 private:
  // KiB that went over a link, as a rate.
  struct Rate {
    static constexpr std::int64_t kSpanNsMin = 100'000'000;
    double kib = kNone;
    std::optional<std::int64_t> at_ns;
    double mb_per_s = kNone;
    void take(double kib_now, std::int64_t now_ns);
  };

  // Whether there is an answer; what is worth telling of a failure is noted.
  bool took(nvml::Return status);
  base::Error unreachable(nvml::Return status) const;
  std::string text_of(nvml::Return status, const char* buffer) const;
  void read_labels(const Options& options);
  std::string label_value(LabelField field);
  void read_simple(Figures& figures);
  void read_fields(std::int64_t now_ns, Figures& figures);
  void read_memory(nvml::Device device, Figures& figures);
  void read_license(Figures& figures);
  void read_clock_events(std::int64_t now_ns);
  void read_instances(const Options& options, std::int64_t now_ns, DeviceReading& reading);
  void read_processes(const Options& options, DeviceReading& reading);
  void read_process_utilization(std::vector<ProcessReading>& processes);

  const std::uint32_t index_;
  const Library* library_ = nullptr;
  nvml::Device handle_ = nullptr;
  std::string uuid_;
  std::vector<std::pair<std::string_view, std::string>> labels_;
  bool has_xids_ = false;
  std::uint64_t last_xid_ = 0;
  Recent xids_;
  bool has_clock_events_ = false;
  Recent clock_events_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> peers_;
  Rate all_links_;
  Rate link_0_;
  Profiling profiling_;
  std::uint64_t utilization_seen_us_ = 0;

  // Of the pass.
  nvml::Return lost_ = nvml::kSuccess;
  std::optional<base::Error> trouble_;
};

// "3g.20gb" of "NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb": the profile of the GPU instance that a MIG device is in.
std::string instance_profile(std::string_view device_name);

}  // namespace qd::observe::gpu
