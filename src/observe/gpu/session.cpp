#include "observe/gpu/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace qd::observe::gpu {

using base::ErrorCode;

Session::Session(Options options, Doing& doing, const base::Clock& clock)
    : options_(std::move(options)), doing_(doing), clock_(clock) {}

Session::~Session() {
  close();
}

base::Status Session::open() {
  if (library_ != nullptr) return {};
  const std::int64_t now_ns = clock_.monotonic_ns();
  if (open_error_ && now_ns < retry_at_ns_) return base::fail(*open_error_);
  doing_.device = -1;
  auto opened = Library::open(options_.library, doing_);
  if (!opened) {
    open_error_ = opened.error();
    retry_at_ns_ = now_ns + kRetryNs;
    return base::fail(*open_error_);
  }
  library_ = std::move(*opened);
  open_error_.reset();
  opened_at_ns_ = now_ns;
  peers_at_ns_.reset();
  if (library_->event_set_create(&events_) != nvml::kSuccess) events_ = nullptr;
  return {};
}

void Session::close() {
  if (library_ == nullptr) return;
  doing_.device = -1;
  for (const auto& device : devices_) device->forget_library();
  if (events_ != nullptr) library_->event_set_free(events_);
  events_ = nullptr;
  library_.reset();
}

base::Error Session::over(std::string_view call, nvml::Return status) {
  base::Error error(ErrorCode::kUnavailable,
                    fmt::format("{} of the GPU driver: {} (NVML error {}); see what nvidia-smi and dmesg say", call,
                                meaning(status), status));
  if (is_over(status)) {
    close();
    open_error_ = error;
    retry_at_ns_ = clock_.monotonic_ns() + kRetryNs;
  }
  return error;
}

base::Status Session::read(std::int64_t deadline_ns, const std::function<void(DeviceReading)>& publish) {
  QD_TRY(open());
  doing_.device = -1;
  std::uint32_t there = 0;
  if (const nvml::Return status = library_->device_count(&there); status != nvml::kSuccess)
    return base::fail(over("nvmlDeviceGetCount_v2", status));
  const std::uint32_t count = std::min(there, kDevicesMax);
  while (devices_.size() > count) {
    devices_.back()->forget_library();
    devices_.pop_back();
  }
  while (devices_.size() < count) devices_.push_back(std::make_unique<Device>(devices_.size()));

  unmet_.assign(count, std::nullopt);
  for (std::uint32_t i = 0; i < count; ++i)
    if (auto met = devices_[i]->meet(*library_, events_, options_); !met) unmet_[i] = std::move(met).error();
  const std::int64_t now_ns = clock_.monotonic_ns();
  read_events(now_ns);
  read_peers(now_ns);
  bool lost = false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (clock_.monotonic_ns() >= deadline_ns) {
      return base::fail(ErrorCode::kTimeout,
                        fmt::format("{} of {} GPUs were not read within the pass's deadline: raise observe.interval",
                                    count - i, count));
    }
    // Rates are over the time between readings of one GPU, which those before it shift.
    const std::int64_t read_ns = clock_.monotonic_ns();
    DeviceReading reading =
        unmet_[i] ? devices_[i]->remembered(read_ns, *unmet_[i]) : devices_[i]->read(*library_, options_, read_ns);
    lost = lost || reading.is_lost;
    publish(std::move(reading));
  }
  doing_.device = -1;
  if (lost && clock_.monotonic_ns() >= opened_at_ns_ + kRetryNs) close();
  if (there > count) {
    return base::fail(ErrorCode::kLimit,
                      fmt::format("{} GPUs are read, and {} beyond them are not", count, there - count));
  }
  return {};
}

void Session::read_events(std::int64_t now_ns) {
  if (events_ == nullptr) return;
  doing_.device = -1;
  for (int i = 0; i < kEventsPerPassMax; ++i) {
    nvml::Event event{};
    // With no time to wait it gives what has come, or kTimeout.
    if (library_->event_wait(events_, &event, 0) != nvml::kSuccess) return;
    if ((event.type & nvml::kEventXid) != 0) take_event(event, now_ns);
  }
}

void Session::take_event(const nvml::Event& event, std::int64_t now_ns) {
  for (const auto& device : devices_)
    if (device->handle() == event.device) return device->take_xid(now_ns, event.data);
  // A handle from before the GPU was lost.
  std::array<char, nvml::kTextBytes> uuid{};
  if (event.device == nullptr || library_->uuid(event.device, uuid.data(), uuid.size() - 1) != nvml::kSuccess) return;
  for (const auto& device : devices_)
    if (device->uuid() == uuid.data()) return device->take_xid(now_ns, event.data);
}

void Session::read_peers(std::int64_t now_ns) {
  if (peers_at_ns_ && now_ns < *peers_at_ns_ + kPeersReadEveryNs) return;
  peers_at_ns_ = now_ns;
  const std::size_t count = std::min<std::size_t>(devices_.size(), kPeersMax);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> peers;
    for (std::size_t j = 0; j < count && !unmet_[i]; ++j) {
      std::uint32_t status = nvml::kP2pUnknown;
      if (i == j || unmet_[j]) continue;
      if (library_->p2p_status(devices_[i]->handle(), devices_[j]->handle(), nvml::kP2pNvlink, &status) ==
          nvml::kSuccess)
        peers.emplace_back(static_cast<std::uint32_t>(j), status);
    }
    devices_[i]->set_peers(std::move(peers));
  }
}

}  // namespace qd::observe::gpu
