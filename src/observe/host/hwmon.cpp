// Sensors of the board and its devices (Documentation/hwmon/sysfs-interface.rst): files <type><number>_<element> below
// /sys/class/hwmon/hwmon<N>, those of old drivers below its device.

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// A name as node_exporter cleans it: small letters, digits, ':' and '_', the latter not at the ends.
std::string clean(std::string_view text) {
  std::string cleaned;
  for (const char c : text) {
    const char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool fits = (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') || small == ':';
    cleaned += fits ? small : '_';
  }
  while (cleaned.ends_with('_')) cleaned.pop_back();
  cleaned.erase(0, std::min(cleaned.find_first_not_of('_'), cleaned.size()));
  return cleaned;
}

struct SensorFile {
  std::string_view type;
  std::uint64_t number = 0;
  std::string_view element;  // empty for "pwm1"
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "temp1_input", "pwm1", "beep_enable"; nothing for files that are no sensor's.
std::optional<SensorFile> sensor_file(std::string_view name) {
  static constexpr std::array<std::string_view, 14> kTypes = {
      "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
      "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"};
  const auto digits = std::find_if(name.begin(), name.end(), is_digit);
  const auto behind = std::find_if_not(digits, name.end(), is_digit);
  SensorFile file{{name.begin(), digits}, 0, {behind, name.end()}};
  if (std::find(kTypes.begin(), kTypes.end(), file.type) == kTypes.end()) return std::nullopt;
  if (digits != behind) {
    const auto number = decimal({digits, behind});
    if (!number || *number > INT64_MAX) return std::nullopt;
    file.number = *number;
  }
  if (file.element.empty()) return file;
  if (file.element.size() < 2 || file.element.front() != '_') return std::nullopt;
  file.element.remove_prefix(1);
  return file;
}

struct Shown {
  std::string name;
  model::MetricType type;
  std::string help;
  ReadNumber read;
};

// What one element of a sensor is as a metric. `has_bare` tells of a file without an element beside it.
Shown shown(std::string_view type, std::string_view element, bool has_bare) {
  static constexpr ReadNumber kAsIs = real;
  static constexpr ReadNumber kMilli = [](std::string_view text) -> std::optional<double> {
    const auto value = real(text);
    return value ? std::optional(*value * 0.001) : std::nullopt;
  };
  static constexpr ReadNumber kMicro = [](std::string_view text) -> std::optional<double> {
    const auto value = real(text);
    return value ? std::optional(*value / 1'000'000) : std::nullopt;
  };
  const std::string in_braces = " (" + std::string(element) + ")";
  std::string name = "node_hwmon_" + std::string(type);
  if (element == "input") {
    if (has_bare) name += "_input";
  } else if (!element.empty()) {
    name += "_" + clean(element);
  }
  if (element == "fault" || element == "alarm") {
    return {name, kGauge, "Hardware sensor " + std::string(element) + " status (" + std::string(type) + ")", kAsIs};
  }
  if (element == "beep") return {name + "_enabled", kGauge, "Hardware monitor sensor has beeping enabled", kAsIs};
  if (type == "in" || type == "cpu") {
    return {name + "_volts", kGauge, "Hardware monitor for voltage" + in_braces, kMilli};
  }
  if (type == "temp" && element != "type") {
    return {name + "_celsius", kGauge,
            "Hardware monitor for temperature (" + std::string(element.empty() ? "input" : element) + ")", kMilli};
  }
  if (type == "curr") return {name + "_amps", kGauge, "Hardware monitor for current" + in_braces, kMilli};
  if (type == "energy") {
    return {name + "_joule_total", kCounter, "Hardware monitor for joules used so far" + in_braces, kMicro};
  }
  if (type == "power" && element == "accuracy") {
    return {name, kGauge, "Hardware monitor power meter accuracy, as a ratio", kMicro};
  }
  if (type == "power" && element.starts_with("average_interval")) {
    return {name + "_seconds", kGauge, "Hardware monitor power usage update interval" + in_braces, kMilli};
  }
  if (type == "power") {
    return {name + "_watt", kGauge, "Hardware monitor for power usage in watts" + in_braces, kMicro};
  }
  if (type == "humidity") {
    return {name, kGauge,
            "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage)" +
                in_braces,
            kMicro};
  }
  if (type == "fan" && (element == "input" || element == "min" || element == "max" || element == "target")) {
    return {name + "_rpm", kGauge, "Hardware monitor for fan revolutions per minute" + in_braces, kAsIs};
  }
  return {name, kGauge, "Hardware monitor " + std::string(type) + " element " + std::string(element), kAsIs};
}

class HwmonPart final : public AttributesPart {
 public:
  HwmonPart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/hwmon") {}
  std::string_view name() const override { return "hwmon"; }

 private:
  // Paths by element.
  using Sensor = std::map<std::string, std::string, std::less<>>;
  using Sensors = std::map<std::pair<std::string, std::uint64_t>, Sensor>;

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    for (const std::string& name : names) {
      const std::string path = directory + "/" + name;
      const std::string chip = chip_of(path, name);
      if (const std::string title = clean(text_of(reader(), path + "/name").value_or("")); !title.empty()) {
        rows.add_info({"node_hwmon_chip_names", kGauge, "Annotation metric for human-readable chip names"},
                      {{"chip", chip}, {"chip_name", title}}, {});
      }
      Sensors sensors;
      add_sensors(path, sensors);
      add_sensors(path + "/device", sensors);
      for (const auto& [key, sensor] : sensors) add_sensor(chip, key.first, key.second, sensor, rows);
    }
  }

  // Stable over restarts, as the number of a hwmon is not: the device's bus and address.
  std::string chip_of(const std::string& path, const std::string& name) {
    std::error_code error;
    const auto device = std::filesystem::canonical(path + "/device", error);
    if (!error) {
      std::string address = clean(device.filename().native());
      const std::string bus = clean(device.parent_path().filename().native());
      if (!bus.empty() && !address.empty()) return bus + "_" + address;
      if (!address.empty()) return address;
    }
    if (const std::string title = clean(text_of(reader(), path + "/name").value_or("")); !title.empty()) return title;
    const auto itself = std::filesystem::canonical(path, error);
    return clean(error ? name : itself.filename().native());
  }

  static void add_sensors(const std::string& directory, Sensors& sensors) {
    const auto files = list_directory(directory);
    if (!files) return;
    for (const std::string& name : *files) {
      const auto file = sensor_file(name);
      if (!file) continue;
      std::string path = directory + "/" + name;
      struct stat status{};
      if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      sensors[{std::string(file->type), file->number}].insert_or_assign(std::string(file->element), std::move(path));
    }
  }

  void add_sensor(const std::string& chip, const std::string& type, std::uint64_t number, const Sensor& sensor,
                  Attributes& rows) {
    Attributes::Labels labels = {{"chip", chip}, {"sensor", type + std::to_string(number)}};
    const auto bare = sensor.find(std::string_view());
    if (type == "vrm" || type == "beep_enable" || type == "update_interval") {
      if (bare == sensor.end()) return;
      if (type == "vrm") {
        rows.add({"node_hwmon_voltage_regulator_version", kGauge, "Hardware voltage regulator"}, std::move(labels),
                 bare->second, real);
      } else if (type == "beep_enable") {
        rows.add({"node_hwmon_beep_enabled", kGauge, "Hardware beep enabled"}, std::move(labels), bare->second,
                 [](std::string_view text) { return std::optional(text == "1" ? 1.0 : 0.0); });
      } else {
        rows.add({"node_hwmon_update_interval_seconds", kGauge, "Hardware monitor update interval"}, std::move(labels),
                 bare->second, read_milli);
      }
      return;
    }
    const auto label = label_of(sensor);
    if (label) {
      Attributes::Labels with_label = labels;
      with_label.emplace_back("label", *label);
      rows.add_info({"node_hwmon_sensor_label", kGauge, "Label for given chip and sensor"}, std::move(with_label), {});
    }
    if (type == "freq") {
      // What the frequency is of is told by the label alone: "sclk".
      const auto input = sensor.find("input");
      if (!label || input == sensor.end()) return;
      labels.back().second = clean(*label);
      rows.add({"node_hwmon_freq_freq_mhz", kGauge, "Hardware monitor for GPU frequency in MHz"}, std::move(labels),
               input->second, [](std::string_view text) -> std::optional<double> {
                 const auto hertz = real(text);
                 return hertz ? std::optional(*hertz / 1'000'000) : std::nullopt;
               });
      return;
    }
    for (const auto& [element, path] : sensor) {
      if (element == "label") continue;
      Shown as = shown(type, element, bare != sensor.end());
      rows.add({std::move(as.name), as.type, std::move(as.help)}, labels, path, as.read);
    }
  }

  // As it stands, with blanks around it.
  std::optional<std::string> label_of(const Sensor& sensor) {
    const auto found = sensor.find("label");
    if (found == sensor.end()) return std::nullopt;
    const auto text = reader().read_once(found->second.c_str());
    if (!text) return std::nullopt;
    return std::string(Scanner(*text).line());
  }
};

}  // namespace

std::unique_ptr<Part> hwmon_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<HwmonPart>(reader, roots);
}

}  // namespace qd::observe::host
