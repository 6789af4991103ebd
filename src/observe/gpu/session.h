// The driver's library while it is open, and all GPUs that it knows.
//
// Every call may hang, so it is used by one thread at a time, which somebody else waits for. A library that cannot be
// opened is tried again every kRetryNs only, and so is one whose driver went away; one with a lost GPU is opened anew
// as often, since only then the driver looks for what was reset.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "observe/gpu/device.h"
#include "observe/gpu/library.h"
#include "observe/gpu/options.h"
#include "observe/gpu/reading.h"

namespace qd::observe::gpu {

class Session {
 public:
  static constexpr std::int64_t kRetryNs = 300'000'000'000;
  // Who reaches whom over NVLink changes with the cables.
  static constexpr std::int64_t kPeersReadEveryNs = 60'000'000'000;
  static constexpr std::uint32_t kDevicesMax = 64;
  // Of which each is asked about each.
  static constexpr std::uint32_t kPeersMax = 16;
  static constexpr int kEventsPerPassMax = 1'000;

  // `doing` and `clock` outlive it.
  Session(Options options, Doing& doing, const base::Clock& clock);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Opens the library, unless it is open or was tried a short while ago.
  base::Status open();
  // Reads all GPUs, and gives each as soon as it is read. After the deadline none is begun: kTimeout says how many were
  // left. kLimit when there are more than kDevicesMax; those are read.
  base::Status read(std::int64_t deadline_ns, const std::function<void(DeviceReading)>& publish);

 private:
  void close();
  base::Error over(std::string_view call, nvml::Return status);
  void read_events(std::int64_t now_ns);
  void take_event(const nvml::Event& event, std::int64_t now_ns);
  void read_peers(std::int64_t now_ns);

  const Options options_;
  Doing& doing_;
  const base::Clock& clock_;
  std::unique_ptr<Library> library_;
  nvml::EventSet events_ = nullptr;
  std::vector<std::unique_ptr<Device>> devices_;  // by index
  std::vector<std::optional<base::Error>> unmet_;
  std::optional<base::Error> open_error_;
  std::int64_t retry_at_ns_ = 0;
  std::int64_t opened_at_ns_ = 0;
  std::optional<std::int64_t> peers_at_ns_;
};

}  // namespace qd::observe::gpu
