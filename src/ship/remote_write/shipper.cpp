#include "ship/remote_write/shipper.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace qd::ship::remote_write {

using base::MutexLock;

namespace {
// How long labels of series without samples are remembered, once to twice.
constexpr std::int64_t kForgetEveryNs = 60LL * 60 * 1'000'000'000;
}  // namespace

Shipper::Shipper(Surroundings surroundings, store::metrics::Appendable& store, std::filesystem::path dir,
                 std::uint64_t seed)
    : surroundings_(std::move(surroundings)),
      dir_(std::move(dir)),
      seed_(seed),
      store_(store, surroundings_.registry),
      forgotten_ns_(surroundings_.scheduler.clock().monotonic_ns()) {}

Shipper::~Shipper() {
  stop(0);
}

Shipper::Outlets Shipper::outlets() const {
  MutexLock lock(mutex_);
  return outlets_;
}

base::Status Shipper::apply(std::vector<Destination> destinations, const model::LabelSet& external_labels,
                            bool sync_each) {
  const Outlets before = outlets();
  Outlets next;
  std::vector<std::shared_ptr<Outlet>> opened;
  for (const Destination& one : destinations) {
    if (const auto it = before.find(one.name); it != before.end()) {
      next.insert(*it);
      continue;
    }
    QD_ASSIGN(auto outlet,
              Outlet::open(surroundings_, dir_ / one.name, one, external_labels, sync_each, seed_ + next.size()));
    opened.push_back(outlet);
    next.emplace(one.name, std::move(outlet));
  }
  // Nothing can fail from here on.
  for (Destination& one : destinations) {
    if (before.contains(one.name)) next[one.name]->update(std::move(one), external_labels);
  }
  for (const auto& [name, outlet] : next) outlet->set_sync_each(sync_each);
  std::vector<std::shared_ptr<Outlet>> all;
  for (const auto& [name, outlet] : next) all.push_back(outlet);
  store_.send_to(std::move(all));
  bool begin = false;
  {
    MutexLock lock(mutex_);
    outlets_ = next;
    begin = started_;
  }
  if (begin) {
    for (const auto& outlet : opened) outlet->start();
  }
  for (const auto& [name, outlet] : before) {
    if (!next.contains(name)) outlet->stop(0);
  }
  tell_left_behind(next);
  return {};
}

void Shipper::tell_left_behind(const Outlets& outlets) const {
  const auto there = surroundings_.files.exists(dir_);
  if (!there || !*there) return;
  const auto names = surroundings_.files.list(dir_);
  if (!names) return;
  for (const std::string& name : *names) {
    if (outlets.contains(name)) continue;
    surroundings_.log.warn("a queue has no destination any more: what waits in it is not sent",
                           {{"directory", (dir_ / name).native()},
                            {"cure", "name its destination in ship.remote_write again, or delete the directory"}});
  }
}

void Shipper::start() {
  {
    MutexLock lock(mutex_);
    started_ = true;
  }
  for (const auto& [name, outlet] : outlets()) outlet->start();
}

void Shipper::maintain() {
  for (const auto& [name, outlet] : outlets()) outlet->maintain();
  {
    MutexLock lock(mutex_);
    const auto now_ns = surroundings_.scheduler.clock().monotonic_ns();
    if (now_ns - forgotten_ns_ < kForgetEveryNs) return;
    forgotten_ns_ = now_ns;
  }
  store_.forget_unused();
}

void Shipper::stop(std::int64_t grace_ms) {
  // One grace for all of them, at once.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(grace_ms);
  const Outlets all = outlets();
  if (grace_ms > 0) {
    for (const auto& [name, outlet] : all) outlet->begin_stop();
  }
  for (const auto& [name, outlet] : all) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    outlet->stop(std::max<std::int64_t>(0, left.count()));
  }
}

}  // namespace qd::ship::remote_write
