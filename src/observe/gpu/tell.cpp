#include "observe/gpu/tell.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>

#include "observe/gpu/device.h"

namespace qd::observe::gpu {
namespace {

using Labels = std::vector<model::Label>;

void add(Labels& labels, std::string_view name, std::string_view value) {
  if (!value.empty()) labels.push_back({name, value});
}

void add_container(Labels& labels, const Owner& owner) {
  add(labels, "container", owner.container);
  add(labels, "pod", owner.pod);
  add(labels, "namespace", owner.name_space);
}

// What samples are of: a GPU or an instance, with all sets of labels that they come with.
struct Subject {
  const Figures* figures;
  std::vector<Labels> labels;
};

// All that is told of one GPU.
struct View {
  const Told* told;
  std::vector<Labels> labels;  // of the GPU; the first set is without a container
  std::vector<Subject> subjects;
};

class Teller {
 public:
  Teller(std::string_view host, bool repeats, Sink& sink) : host_(host), repeats_(repeats), sink_(sink) {}

  void look_at(const Told& told);
  void tell();

 private:
  // The family begins with its first sample.
  void sample(const FamilyInfo& family, const Labels& labels, double value) {
    if (std::exchange(begun_, &family) != &family) sink_.family(family.name, family.type, family.help);
    sink_.sample(std::span<const model::Label>(labels), value);
  }
  // For every set of the GPU's labels, with more behind.
  void sample(const FamilyInfo& family, const View& view, std::initializer_list<model::Label> more, double value) {
    for (Labels labels : view.labels) {
      for (const model::Label& one : more) add(labels, one.name, one.value);
      sample(family, labels, value);
    }
  }
  std::string_view text(std::uint64_t number) { return texts_.emplace_back(std::to_string(number)); }
  std::vector<Labels> with_containers(const Labels& labels, const Told& told, std::optional<std::uint32_t> instance);
  void tell_xids();
  void tell_clock_events();
  void tell_peers();
  void tell_processes(const FamilyInfo& family, double ProcessReading::* value);

  const std::string_view host_;
  const bool repeats_;
  Sink& sink_;
  const FamilyInfo* begun_ = nullptr;
  std::deque<std::string> texts_;  // that labels point to
  std::vector<View> views_;
};

std::vector<Labels> Teller::with_containers(const Labels& labels, const Told& told,
                                            std::optional<std::uint32_t> instance) {
  std::vector<Labels> all = {labels};
  if (!repeats_) return all;
  std::vector<Labels> seen;
  for (std::size_t i = 0; i < told.owners.size(); ++i) {
    if (told.owners[i].container.empty()) continue;
    if (instance && told.device.processes[i].instance != *instance) continue;
    Labels owner;
    add_container(owner, told.owners[i]);
    if (std::ranges::find(seen, owner) != seen.end()) continue;
    seen.push_back(owner);
    all.push_back(labels);
    all.back().insert(all.back().end(), owner.begin(), owner.end());
  }
  return all;
}

void Teller::look_at(const Told& told) {
  const DeviceReading& device = told.device;
  if (device.labels.empty()) return;
  Labels labels;
  for (const auto& [name, value] : device.labels) add(labels, name, value);
  add(labels, "Hostname", host_);
  View view{.told = &told, .labels = with_containers(labels, told, std::nullopt), .subjects = {}};
  view.subjects.push_back({&device.figures, view.labels});
  for (const InstanceReading& instance : device.instances) {
    Labels part = labels;
    add(part, "GPU_I_PROFILE", instance.profile);
    add(part, "GPU_I_ID", text(instance.id));
    view.subjects.push_back({&instance.figures, with_containers(part, told, instance.id)});
  }
  views_.push_back(std::move(view));
}

void Teller::tell() {
  for (std::size_t i = 0; i < kFigures; ++i) {
    const auto figure = static_cast<Figure>(i);
    for (const View& view : views_) {
      for (const Subject& subject : view.subjects) {
        const double value = (*subject.figures)[figure];
        if (std::isnan(value)) continue;
        for (const Labels& labels : subject.labels) sample(family_of(figure), labels, value);
      }
    }
  }
  tell_xids();
  tell_clock_events();
  tell_peers();
  tell_processes(kProcessFbUsed, &ProcessReading::fb_mib);
  tell_processes(kProcessSmUtil, &ProcessReading::sm_percent);
}

void Teller::tell_xids() {
  const std::string_view window = text(Recent::kWindowMs);
  for (const View& view : views_) {
    const DeviceReading& device = view.told->device;
    if (!device.has_xids) continue;
    sample(kXidErrors, view, {{"err_code", text(device.last_xid)}, {"err_msg", xid_text(device.last_xid)}},
           static_cast<double>(device.last_xid));
  }
  for (const View& view : views_) {
    const DeviceReading& device = view.told->device;
    if (!device.has_xids) continue;
    if (device.xids.empty()) sample(kXidErrorsCount, view, {{"window_size_in_ms", window}}, 0);
    for (const auto& [xid, count] : device.xids)
      sample(kXidErrorsCount, view, {{"window_size_in_ms", window}, {"xid", text(xid)}}, static_cast<double>(count));
  }
}

void Teller::tell_clock_events() {
  const std::string_view window = text(Recent::kWindowMs);
  for (const View& view : views_) {
    const DeviceReading& device = view.told->device;
    if (!device.has_clock_events) continue;
    if (device.clock_events.empty()) sample(kClockEventsCount, view, {{"window_size_in_ms", window}}, 0);
    for (const auto& [bit, count] : device.clock_events) {
      sample(kClockEventsCount, view, {{"window_size_in_ms", window}, {"clock_event", clock_event_name(bit)}},
             static_cast<double>(count));
    }
  }
}

void Teller::tell_peers() {
  for (const View& view : views_) {
    for (const auto& [peer, status] : view.told->device.peers)
      sample(kP2pStatus, view, {{"peer_gpu", text(peer)}, {"link_status", p2p_status_name(status)}}, status);
  }
}

void Teller::tell_processes(const FamilyInfo& family, double ProcessReading::* value) {
  for (const View& view : views_) {
    const DeviceReading& device = view.told->device;
    for (std::size_t i = 0; i < device.processes.size(); ++i) {
      const ProcessReading& process = device.processes[i];
      if (std::isnan(process.*value)) continue;
      Labels labels = view.labels.front();
      if (process.instance != nvml::kNoInstance) {
        const auto instance = std::ranges::find(device.instances, process.instance, &InstanceReading::id);
        if (instance != device.instances.end()) add(labels, "GPU_I_PROFILE", instance->profile);
        add(labels, "GPU_I_ID", text(process.instance));
      }
      add(labels, "pid", text(process.pid));
      add(labels, "process", view.told->owners[i].process);
      add_container(labels, view.told->owners[i]);
      sample(family, labels, process.*value);
    }
  }
}

}  // namespace

void tell(std::span<const Told> devices, const std::string& host, bool repeats, Sink& sink) {
  Teller teller(host, repeats, sink);
  for (const Told& told : devices) teller.look_at(told);
  teller.tell();
}

}  // namespace qd::observe::gpu
