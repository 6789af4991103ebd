// Power and heat: power supplies (Documentation/ABI/testing/sysfs-class-power), energy counters
// (Documentation/power/powercap/powercap.rst), thermal zones (Documentation/driver-api/thermal/sysfs-api.rst).

#include <unistd.h>

#include <array>
#include <map>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

std::optional<double> read_tenth(std::string_view text) {
  const auto value = read_integer(text);
  return value ? std::optional(*value / 10) : std::nullopt;
}

std::optional<double> read_thousandth(std::string_view text) {
  const auto value = read_integer(text);
  return value ? std::optional(*value / 1000) : std::nullopt;
}

class PowerSupplyPart final : public AttributesPart {
 public:
  PowerSupplyPart(FileReader& reader, const Roots& roots)
      : AttributesPart(reader, roots.sysfs + "/class/power_supply") {}
  std::string_view name() const override { return "powersupplyclass"; }

 private:
  struct Number {
    std::string_view file;
    std::string_view metric;  // behind "node_power_supply_"
    ReadNumber read;
  };

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    static constexpr auto kNumbers = std::to_array<Number>({
        {"authentic", "authentic", read_integer},
        {"calibrate", "calibrate", read_integer},
        {"capacity", "capacity", read_integer},
        {"capacity_alert_max", "capacity_alert_max", read_integer},
        {"capacity_alert_min", "capacity_alert_min", read_integer},
        {"charge_control_limit", "charge_control_limit", read_micro},
        {"charge_control_limit_max", "charge_control_limit_max", read_micro},
        {"charge_counter", "charge_counter", read_micro},
        {"charge_empty", "charge_empty", read_micro},
        {"charge_empty_design", "charge_empty_design", read_micro},
        {"charge_full", "charge_full", read_micro},
        {"charge_full_design", "charge_full_design", read_micro},
        {"charge_now", "charge_ampere", read_micro},
        {"charge_term_current", "charge_term_current", read_micro},
        {"constant_charge_current", "constant_charge_current", read_micro},
        {"constant_charge_current_max", "constant_charge_current_max", read_micro},
        {"constant_charge_voltage", "constant_charge_voltage", read_micro},
        {"constant_charge_voltage_max", "constant_charge_voltage_max", read_micro},
        {"current_boot", "current_boot", read_micro},
        {"current_max", "current_max", read_micro},
        {"current_now", "current_ampere", read_micro},
        {"cycle_count", "cyclecount", read_integer},
        {"energy_empty", "energy_empty", read_micro},
        {"energy_empty_design", "energy_empty_design", read_micro},
        {"energy_full", "energy_full", read_micro},
        {"energy_full_design", "energy_full_design", read_micro},
        {"energy_now", "energy_watthour", read_micro},
        {"input_current_limit", "input_current_limit", read_micro},
        {"online", "online", read_integer},
        {"power_now", "power_watt", read_micro},
        {"precharge_current", "precharge_current", read_micro},
        {"present", "present", read_integer},
        {"temp", "temp_celsius", read_tenth},
        {"temp_alert_max", "temp_alert_max_celsius", read_tenth},
        {"temp_alert_min", "temp_alert_min_celsius", read_tenth},
        {"temp_ambient", "temp_ambient_celsius", read_tenth},
        {"temp_ambient_max", "temp_ambient_max_celsius", read_tenth},
        {"temp_ambient_min", "temp_ambient_min_celsius", read_tenth},
        {"temp_max", "temp_max_celsius", read_tenth},
        {"temp_min", "temp_min_celsius", read_tenth},
        {"time_to_empty_now", "time_to_empty_seconds", read_integer},
        {"time_to_full_now", "time_to_full_seconds", read_integer},
        {"voltage_boot", "voltage_boot", read_micro},
        {"voltage_max", "voltage_max", read_micro},
        {"voltage_max_design", "voltage_max_design", read_micro},
        {"voltage_min", "voltage_min", read_micro},
        {"voltage_min_design", "voltage_min_design", read_micro},
        {"voltage_now", "voltage_volt", read_micro},
        {"voltage_ocv", "voltage_ocv", read_micro},
    });
    static constexpr std::array<std::string_view, 11> kTexts = {
        "capacity_level", "charge_type", "health",     "manufacturer", "model_name", "scope",
        "serial_number",  "status",      "technology", "type",         "usb_type"};
    for (const std::string& name : names) {
      const std::string supply = directory + "/" + name + "/";
      for (const auto& [file, metric, read] : kNumbers) {
        const std::string shown(metric);
        rows.add({"node_power_supply_" + shown, kGauge, shown + " value of /sys/class/power_supply/<power_supply>."},
                 {{"power_supply", name}}, supply + std::string(file), read);
      }
      std::vector<Attributes::Text> texts(kTexts.size());
      for (std::size_t i = 0; i < kTexts.size(); ++i) {
        texts[i] = {.name = kTexts[i], .path = supply + std::string(kTexts[i]), .or_nothing = true};
      }
      rows.add_info({"node_power_supply_info", kGauge, "info of /sys/class/power_supply/<power_supply>."},
                    {{"power_supply", name}}, std::move(texts));
    }
  }
};

// Since 2020 the counters are for root only (CVE-2020-8694).
class RaplPart final : public AttributesPart {
 public:
  RaplPart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/powercap") {}
  std::string_view name() const override { return "rapl"; }

 private:
  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    std::map<std::string, std::size_t> seen;
    for (const std::string& entry : names) {
      const std::string zone = directory + "/" + entry;
      const std::string energy = zone + "/energy_uj";
      auto name = text_of(reader(), zone + "/name");
      if (!name || !exists(energy)) continue;
      if (::access(energy.c_str(), R_OK) != 0) set_outcome(Outcome::failed(EACCES, "/sys/class/powercap/*/energy_uj"));
      // "package-0" has its number; "core" and "dram" are numbered as they come.
      std::string index = std::to_string(seen[*name]++);
      const auto dash = name->rfind('-');
      if (dash != std::string::npos && decimal(std::string_view(*name).substr(dash + 1))) {
        index = name->substr(dash + 1);
        name->resize(dash);
      }
      std::string metric = "node_rapl_";
      append_name_part(metric, *name);
      rows.add({metric + "_joules_total", kCounter, "Current RAPL " + *name + " value in joules"},
               {{"index", index}, {"path", zone}}, energy, read_micro);
    }
  }
};

class ThermalZonePart final : public AttributesPart {
 public:
  ThermalZonePart(FileReader& reader, const Roots& roots)
      : AttributesPart(reader, roots.sysfs + "/class/thermal", Absent::kIsNothing) {}
  std::string_view name() const override { return "thermal_zone"; }

 private:
  static constexpr std::string_view kZone = "thermal_zone", kDevice = "cooling_device";

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    for (const std::string& name : names) {
      const std::string path = directory + "/" + name;
      const std::string type = text_of(reader(), path + "/type").value_or("");
      if (name.starts_with(kZone)) {
        rows.add({"node_thermal_zone_temp", kGauge, "Zone temperature in Celsius"},
                 {{"zone", name.substr(kZone.size())}, {"type", type}}, path + "/temp", read_thousandth);
      } else if (name.starts_with(kDevice)) {
        const Attributes::Labels labels = {{"name", name.substr(kDevice.size())}, {"type", type}};
        rows.add({"node_cooling_device_cur_state", kGauge, "Current throttle state of the cooling device"}, labels,
                 path + "/cur_state", read_integer);
        rows.add({"node_cooling_device_max_state", kGauge, "Maximum throttle state of the cooling device"}, labels,
                 path + "/max_state", read_integer);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Part> powersupplyclass_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<PowerSupplyPart>(reader, roots);
}

std::unique_ptr<Part> rapl_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<RaplPart>(reader, roots);
}

std::unique_ptr<Part> thermal_zone_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<ThermalZonePart>(reader, roots);
}

}  // namespace qd::observe::host
