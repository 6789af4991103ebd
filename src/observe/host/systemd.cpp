// systemd's units, as systemd says them over the bus of the machine.
//
// Every 15 s a round of questions is begun (observe/host/systemd_bus.h). The pass that begins it waits for a moment, in
// which it is mostly done; else the next passes go on with it, and tell what the last whole round found. A pass never
// waits longer, however slow process 1 is. Where there is no systemd, a minute goes by between two looks for its
// socket.

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "observe/host/opt_in_families.h"
#include "observe/host/parts.h"
#include "observe/host/systemd_bus.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

enum SystemdFamily {
  kVersion,
  kVirtualization,
  kUnits,
  kUnitState,
  kStartTime,
  kRestarts,
  kLastTrigger,
  kAccepted,
  kConnections,
  kRefused,
  kRunning
};
constexpr auto kSystemdFamilies = std::to_array<FamilyInfo>({
    {"node_systemd_version", kGauge, "Detected systemd version", "version"},
    {"node_systemd_virtualization_info", kGauge, "Detected virtualization technology", "virtualization_type"},
    {"node_systemd_units", kGauge, "Summary of systemd unit states", "state"},
    {"node_systemd_unit_state", kGauge, "Systemd unit", "name,state,type"},
    {"node_systemd_unit_start_time_seconds", kGauge, "Start time of the unit since unix epoch in seconds.", "name"},
    {"node_systemd_service_restart_total", kCounter, "Service unit count of Restart triggers", "name"},
    {"node_systemd_timer_last_trigger_seconds", kGauge, "Seconds since epoch of last trigger.", "name"},
    {"node_systemd_socket_accepted_connections_total", kCounter, "Total number of accepted socket connections", "name"},
    {"node_systemd_socket_current_connections", kGauge, "Current number of socket connections", "name"},
    {"node_systemd_socket_refused_connections_total", kGauge, "Total number of refused socket connections", "name"},
    {"node_systemd_system_running", kGauge, "Whether the system is operational (see 'systemctl is-system-running')",
     ""},
});

constexpr std::int64_t kRoundEveryNs = 14'500'000'000;  // 15 s; passes do not come to the millisecond
constexpr std::int64_t kLookAgainNs = 60'000'000'000;
constexpr std::int64_t kRoundMaxNs = 30'000'000'000;
// What is older is not told.
constexpr std::int64_t kStateMaxNs = 60'000'000'000;
constexpr std::int64_t kPatienceNs = 50'000'000;

// The number in "252.38-1~deb12u1": the first of three digits or more, with a fraction or not.
std::optional<double> number_in(std::string_view version) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t at = 0; at < version.size(); ++at) {
    std::size_t end = at;
    while (end < version.size() && is_digit(version[end])) ++end;
    if (end - at >= 3) {
      std::size_t fraction = end + 1;
      while (fraction < version.size() && is_digit(version[fraction])) ++fraction;
      if (end < version.size() && version[end] == '.' && fraction > end + 1) end = fraction;
      return real(version.substr(at, end - at));
    }
    at = end;
  }
  return std::nullopt;
}

std::vector<SystemdBus::Address> addresses(const Roots& roots) {
  // systemd's own socket is for root, and is there before and without a bus.
  return {{roots.rootfs + "/run/dbus/system_bus_socket", true}, {roots.rootfs + "/run/systemd/private", false}};
}

class SystemdPart final : public Part {
 public:
  explicit SystemdPart(const Roots& roots) : bus_(addresses(roots)) {}
  std::string_view name() const override { return "systemd"; }

  Outcome collect(const Pass& pass) override {
    const std::int64_t now_ns = pass.clock.monotonic_ns();
    if (!bus_.running() && now_ns >= next_ns_) begin(now_ns);
    if (bus_.running()) advance(pass, now_ns);
    if (found_ns_ && now_ns - *found_ns_ < kStateMaxNs) {
      tell(pass.sink);
      return {};
    }
    return outcome_;
  }

 private:
  void begin(std::int64_t now_ns) {
    begun_ns_ = now_ns;
    next_ns_ = now_ns + kRoundEveryNs;
    if (const int error = bus_.begin(); error != 0) failed(error, now_ns);
  }

  void advance(const Pass& pass, std::int64_t now_ns) {
    const std::int64_t patience_ns = std::clamp<std::int64_t>(pass.deadline_ns - now_ns, 0, kPatienceNs);
    switch (bus_.advance(std::chrono::microseconds(patience_ns / 1000))) {
      case SystemdBus::Progress::kDone:
        found_ns_ = now_ns;
        outcome_ = {};
        break;
      case SystemdBus::Progress::kFailed:
        failed(bus_.error(), now_ns);
        break;
      case SystemdBus::Progress::kGoesOn:
        if (now_ns - begun_ns_ >= kRoundMaxNs) {
          bus_.give_up();
          failed(ETIMEDOUT, now_ns);
        } else if (!found_ns_) {
          outcome_ = Outcome::failed(EINPROGRESS, "systemd's first answers");
        }
        break;
    }
  }

  void failed(int error, std::int64_t now_ns) {
    outcome_ = Outcome::failed(error, bus_.path());
    // The other socket with the next pass; once all were tried, later.
    next_ns_ = bus_.has_another_address() ? now_ns : now_ns + kLookAgainNs;
  }

  void tell(Sink& sink) const {
    const SystemdState& state = bus_.state();
    const auto lone = [&](SystemdFamily which, std::initializer_list<model::Label> labels, double value) {
      begin_family(sink, kSystemdFamilies[which]);
      sink.sample(labels, value);
    };
    const auto version = number_in(state.version);
    lone(kVersion, {{"version", version ? std::string_view(state.version) : ""}}, version.value_or(0));
    lone(kVirtualization,
         {{"virtualization_type", state.virtualization.empty() ? "none" : std::string_view(state.virtualization)}}, 1);
    LazyFamily units(sink, kSystemdFamilies[kUnits]);
    for (std::size_t i = 0; i < state.in_state.size(); ++i) {
      units.sample({{"state", SystemdState::kUnitStates[i]}}, static_cast<double>(state.in_state[i]));
    }
    LazyFamily unit_state(sink, kSystemdFamilies[kUnitState]);
    for (const SystemdUnit& unit : state.units) {
      for (const std::string_view one : SystemdState::kUnitStates) {
        unit_state.sample({{"name", unit.name}, {"state", one}, {"type", unit.type}}, unit.active_state == one ? 1 : 0);
      }
    }
    tell(sink, kStartTime, &SystemdUnit::started_s);
    tell(sink, kRestarts, &SystemdUnit::restarts);
    tell(sink, kLastTrigger, &SystemdUnit::last_trigger_s);
    tell(sink, kAccepted, &SystemdUnit::accepted);
    tell(sink, kConnections, &SystemdUnit::connections);
    tell(sink, kRefused, &SystemdUnit::refused);
    lone(kRunning, {}, state.system_state == "running" ? 1 : 0);
  }

  template <typename Value>
  void tell(Sink& sink, SystemdFamily which, std::optional<Value> SystemdUnit::* value) const {
    LazyFamily family(sink, kSystemdFamilies[which]);
    for (const SystemdUnit& unit : bus_.state().units) {
      if (unit.*value) family.sample({{"name", unit.name}}, static_cast<double>(*(unit.*value)));
    }
  }

  SystemdBus bus_;
  std::int64_t begun_ns_ = 0;
  std::int64_t next_ns_ = INT64_MIN;
  std::optional<std::int64_t> found_ns_;  // when the state was found
  Outcome outcome_;
};

constexpr auto kSystemdLeftOut = std::to_array<LeftOut>({
    {"node_systemd_unit_tasks_current", "what cgroups count of a service is told by the collector of containers"},
    {"node_systemd_unit_tasks_max", "what cgroups count of a service is told by the collector of containers"},
    {"node_ethtool_* of veth", "the ends of containers' virtual cables come and go, and count what netdev tells"},
});

}  // namespace

std::span<const FamilyInfo> systemd_families() {
  return kSystemdFamilies;
}

std::span<const LeftOut> opt_in_left_out() {
  return kSystemdLeftOut;
}

std::unique_ptr<Part> systemd_part(FileReader&, const Roots& roots) {
  return std::make_unique<SystemdPart>(roots);
}

}  // namespace qd::observe::host
