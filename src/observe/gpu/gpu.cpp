#include "observe/gpu/gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "base/mutex.h"
#include "observe/gpu/session.h"

namespace qd::observe::gpu {

using base::ErrorCode;

// Of the collector and of the driver's thread, which may outlive it.
struct GpuCollector::Shared {
  Shared(const Options& options, std::shared_ptr<const base::Clock> c)
      : clock(std::move(c)), session(options, doing, *clock) {}

  const std::shared_ptr<const base::Clock> clock;
  Doing doing;
  Session session;  // the driver's thread alone uses it
  std::atomic<std::int64_t> began_ns = 0;
  base::Mutex mutex;
  std::vector<DeviceReading> readings QD_GUARDED_BY(mutex);
  base::Status outcome QD_GUARDED_BY(mutex);
};

GpuCollector::GpuCollector(Options options, std::string host, std::function<ContainerList()> containers,
                           std::shared_ptr<const base::Clock> clock)
    : options_(std::move(options)),
      host_(std::move(host)),
      containers_(std::move(containers)),
      clock_(std::move(clock)),
      shared_(std::make_shared<Shared>(options_, clock_)),
      owners_(options_.procfs) {}

GpuCollector::~GpuCollector() {
  if (thread_.busy()) return;  // that thread closes it when it comes back
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  static_cast<void>(thread_.run([shared = std::move(shared_)]() mutable { shared.reset(); }, patience));
}

base::Error GpuCollector::hanging() const {
  const int device = shared_->doing.device.load();
  const double seconds = static_cast<double>(clock_->monotonic_ns() - shared_->began_ns.load()) / 1e9;
  return {
      ErrorCode::kTimeout,
      fmt::format("the GPU driver has not come back from {}{} for {:.1f} s: see whether nvidia-smi hangs as well and "
                  "what dmesg says; a driver that stays so needs a restart of the machine",
                  shared_->doing.call.load(), device < 0 ? "" : fmt::format(" of GPU {}", device), seconds)};
}

base::Status GpuCollector::ask(std::int64_t deadline_ns, std::function<void(Shared&)> task) {
  if (thread_.busy()) return base::fail(hanging());
  {
    base::MutexLock lock(shared_->mutex);
    shared_->readings.clear();
    shared_->outcome = {};
  }
  shared_->began_ns = clock_->monotonic_ns();
  const auto left = std::chrono::nanoseconds(std::max<std::int64_t>(0, deadline_ns - clock_->monotonic_ns()));
  auto on_thread = [shared = shared_, task = std::move(task)] { task(*shared); };
  QD_ASSIGN(const bool ended, thread_.run(std::move(on_thread), std::chrono::steady_clock::now() + left));
  if (!ended) return base::fail(hanging());
  base::MutexLock lock(shared_->mutex);
  return shared_->outcome;
}

base::Status GpuCollector::find(std::int64_t deadline_ns) {
  return ask(deadline_ns, [](Shared& shared) {
    base::Status outcome = shared.session.open();
    base::MutexLock lock(shared.mutex);
    shared.outcome = std::move(outcome);
  });
}

base::Status GpuCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  trouble_.reset();
  // What an earlier pass reads late is of its time, not of this one.
  if (thread_.busy()) return base::fail(hanging());
  const base::Status outcome = ask(deadline_ns, [deadline_ns](Shared& shared) {
    base::Status read = shared.session.read(deadline_ns, [&shared](DeviceReading reading) {
      base::MutexLock lock(shared.mutex);
      shared.readings.push_back(std::move(reading));
    });
    base::MutexLock lock(shared.mutex);
    shared.outcome = std::move(read);
  });
  std::vector<DeviceReading> readings;
  {
    base::MutexLock lock(shared_->mutex);
    readings = std::exchange(shared_->readings, {});
  }
  if (!outcome) {
    if (outcome.error().code() == ErrorCode::kNotFound && options_.enabled != "on") return {};
    if (readings.empty()) return outcome;
    note(outcome.error());
  }
  const std::vector<Told> told = attributed(std::move(readings));
  tell(told, host_, options_.container_samples, sink);
  for (const Told& one : told) {
    const DeviceReading& device = one.device;
    if (device.error) note(*device.error);
    if (device.processes_left_out > 0) {
      note({ErrorCode::kLimit,
            fmt::format("{} processes on GPU {} are told and {} are not: raise "
                        "observe.gpu.processes_limit ({})",
                        device.processes.size(), device.index, device.processes_left_out, options_.processes_limit)});
    }
    if (device.instances_left_out > 0) {
      note({ErrorCode::kLimit, fmt::format("{} instances of GPU {} are told, and {} beyond them are not",
                                           device.instances.size(), device.index, device.instances_left_out)});
    }
  }
  return {};
}

void GpuCollector::note(const base::Error& error) {
  if (!trouble_) trouble_ = error;
}

std::vector<Told> GpuCollector::attributed(std::vector<DeviceReading> readings) {
  std::vector<Told> all;
  all.reserve(readings.size());
  ContainerList containers = containers_ ? containers_() : nullptr;
  for (DeviceReading& reading : readings) {
    Told& told = all.emplace_back(std::move(reading), std::vector<Owner>{});
    told.owners.reserve(told.device.processes.size());
    for (const ProcessReading& process : told.device.processes)
      told.owners.push_back(owners_.of(process.pid, containers));
  }
  return all;
}

}  // namespace qd::observe::gpu
