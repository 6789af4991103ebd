// The clock: what it says, what drives it (/sys/devices/system/clocksource), and how well it is kept (adjtimex(2)).

#include <dirent.h>
#include <sys/timex.h>

#include <algorithm>
#include <ctime>

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class TimePart final : public Part {
 public:
  TimePart(FileReader& reader, const Roots& roots) {
    const std::string directory = roots.sysfs + "/devices/system/clocksource";
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) return;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (!name.starts_with("clocksource") || !decimal(name.substr(11))) continue;
      const std::string path = directory + "/" + std::string(name);
      sources_.push_back({std::string(name.substr(11)), KeptFile(reader, path + "/available_clocksource"),
                          KeptFile(reader, path + "/current_clocksource")});
    }
    ::closedir(dir);
    std::sort(sources_.begin(), sources_.end(), [](const Source& a, const Source& b) { return a.device < b.device; });
  }
  std::string_view name() const override { return "time"; }

  Outcome collect(const Pass& pass) override {
    const std::int64_t now_ms = pass.clock.wall_ms();
    pass.sink.family("node_time_seconds", kGauge, "System time in seconds since epoch (1970).");
    pass.sink.sample(static_cast<double>(now_ms) / 1000);

    const std::time_t now_s = now_ms / 1000;
    std::tm local{};
    if (::localtime_r(&now_s, &local) != nullptr) {
      pass.sink.family("node_time_zone_offset_seconds", kGauge, "System time zone offset in seconds.");
      pass.sink.sample({{"time_zone", local.tm_zone}}, static_cast<double>(local.tm_gmtoff));
    }
    tell_sources(pass.sink, "node_time_clocksource_available_info",
                 "Available clocksources read from '/sys/devices/system/clocksource'.", &Source::available);
    tell_sources(pass.sink, "node_time_clocksource_current_info",
                 "Current clocksource read from '/sys/devices/system/clocksource'.", &Source::current);
    return {};
  }

 private:
  struct Source {
    std::string device;
    KeptFile available;
    KeptFile current;
  };

  void tell_sources(Sink& sink, std::string_view metric, std::string_view help, KeptFile Source::* file) {
    bool begun = false;
    for (Source& source : sources_) {
      const auto text = (source.*file).read();
      if (!text) continue;
      Scanner lines(*text);
      Scanner words(lines.line());
      for (std::string_view word = words.word(); !word.empty(); word = words.word()) {
        if (!begun) sink.family(metric, kGauge, help);
        begun = true;
        sink.sample({{"clocksource", word}, {"device", source.device}}, 1);
      }
    }
  }

  std::vector<Source> sources_;
};

class TimexPart final : public Part {
 public:
  std::string_view name() const override { return "timex"; }

  Outcome collect(const Pass& pass) override {
    struct timex state{};
    const int status = ::adjtimex(&state);
    if (status < 0) return Outcome::failed(errno, "adjtimex");
    constexpr double kMicro = 1e6;
    // Frequencies are parts per million with 16 bits behind the point.
    constexpr double kPartsPerMillion = 1e6 * 65536;
    const double fine = (state.status & STA_NANO) != 0 ? 1e9 : kMicro;
    const auto tell = [&](std::string_view metric, model::MetricType type, std::string_view help, double value) {
      pass.sink.family(metric, type, help);
      pass.sink.sample(value);
    };
    const auto number = [](auto value) { return static_cast<double>(value); };
    tell("node_timex_offset_seconds", kGauge, "Time offset in between local system and reference clock.",
         number(state.offset) / fine);
    tell("node_timex_frequency_adjustment_ratio", kGauge, "Local clock frequency adjustment.",
         1 + number(state.freq) / kPartsPerMillion);
    tell("node_timex_maxerror_seconds", kGauge, "Maximum error in seconds.", number(state.maxerror) / kMicro);
    tell("node_timex_estimated_error_seconds", kGauge, "Estimated error in seconds.", number(state.esterror) / kMicro);
    tell("node_timex_status", kGauge, "Value of the status array bits.", number(state.status));
    tell("node_timex_loop_time_constant", kGauge, "Phase-locked loop time constant.", number(state.constant));
    tell("node_timex_tick_seconds", kGauge, "Seconds between clock ticks.", number(state.tick) / kMicro);
    tell("node_timex_pps_frequency_hertz", kGauge, "Pulse per second frequency.",
         number(state.ppsfreq) / kPartsPerMillion);
    tell("node_timex_pps_jitter_seconds", kGauge, "Pulse per second jitter.", number(state.jitter) / fine);
    tell("node_timex_pps_shift_seconds", kGauge, "Pulse per second interval duration.", number(state.shift));
    tell("node_timex_pps_stability_hertz", kGauge, "Pulse per second stability, average of recent frequency changes.",
         number(state.stabil) / kPartsPerMillion);
    tell("node_timex_pps_jitter_total", kCounter, "Pulse per second count of jitter limit exceeded events.",
         number(state.jitcnt));
    tell("node_timex_pps_calibration_total", kCounter, "Pulse per second count of calibration intervals.",
         number(state.calcnt));
    tell("node_timex_pps_error_total", kCounter, "Pulse per second count of calibration errors.", number(state.errcnt));
    tell("node_timex_pps_stability_exceeded_total", kCounter,
         "Pulse per second count of stability limit exceeded events.", number(state.stbcnt));
    tell("node_timex_tai_offset_seconds", kGauge, "International Atomic Time (TAI) offset.", number(state.tai));
    tell("node_timex_sync_status", kGauge, "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
         status == TIME_ERROR ? 0 : 1);
    return {};
  }
};

}  // namespace

std::unique_ptr<Part> time_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<TimePart>(reader, roots);
}

std::unique_ptr<Part> timex_part() {
  return std::make_unique<TimexPart>();
}

}  // namespace qd::observe::host
