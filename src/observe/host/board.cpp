// What is on the board: what its maker wrote (drivers/firmware/dmi-id.c), memory errors
// (Documentation/driver-api/edac.rst), watchdogs (Documentation/ABI/testing/sysfs-class-watchdog).

#include <array>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

struct NamedFile {
  std::string_view label;
  std::string_view file;
};

class DmiPart final : public AttributesPart {
 public:
  DmiPart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/dmi/id") {}
  std::string_view name() const override { return "dmi"; }

 private:
  // Serial numbers are for root only; what cannot be read is no label. None of it changes while the machine runs.
  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    static constexpr std::array<NamedFile, 20> kFiles = {{
        {"bios_date", "bios_date"},
        {"bios_release", "bios_release"},
        {"bios_vendor", "bios_vendor"},
        {"bios_version", "bios_version"},
        {"board_asset_tag", "board_asset_tag"},
        {"board_name", "board_name"},
        {"board_serial", "board_serial"},
        {"board_vendor", "board_vendor"},
        {"board_version", "board_version"},
        {"chassis_asset_tag", "chassis_asset_tag"},
        {"chassis_serial", "chassis_serial"},
        {"chassis_vendor", "chassis_vendor"},
        {"chassis_version", "chassis_version"},
        {"product_family", "product_family"},
        {"product_name", "product_name"},
        {"product_serial", "product_serial"},
        {"product_sku", "product_sku"},
        {"product_uuid", "product_uuid"},
        {"product_version", "product_version"},
        {"system_vendor", "sys_vendor"},
    }};
    if (names.empty()) return;
    Attributes::Labels labels;
    for (const auto& [label, file] : kFiles) {
      auto text = text_of(reader(), directory + "/" + std::string(file));
      if (text) labels.emplace_back(label, std::move(*text));
    }
    rows.add_info({"node_dmi_info", kGauge,
                   "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, "
                   "board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, "
                   "chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, "
                   "product_sku, product_uuid, product_version, system_vendor if provided by DMI."},
                  std::move(labels), {});
  }
};

// What stands behind `prefix` in a name of digits alone; nothing for other names.
std::string_view number_behind(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return {};
  name.remove_prefix(prefix.size());
  return decimal(name) ? name : std::string_view();
}

class EdacPart final : public AttributesPart {
 public:
  EdacPart(FileReader& reader, const Roots& roots)
      : AttributesPart(reader, roots.sysfs + "/devices/system/edac/mc", Absent::kIsNothing) {}
  std::string_view name() const override { return "edac"; }

 private:
  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    static const Attributes::Family kCorrectable = {"node_edac_correctable_errors_total", kCounter,
                                                    "Total correctable memory errors."};
    static const Attributes::Family kUncorrectable = {"node_edac_uncorrectable_errors_total", kCounter,
                                                      "Total uncorrectable memory errors."};
    for (const std::string& name : names) {
      const std::string controller(number_behind(name, "mc"));
      if (controller.empty()) continue;
      const std::string mc = directory + "/" + name;
      rows.add(kCorrectable, {{"controller", controller}}, mc + "/ce_count", read_integer);
      rows.add(kUncorrectable, {{"controller", controller}}, mc + "/ue_count", read_integer);
      add_row(rows, controller, "unknown", mc + "/ce_noinfo_count", mc + "/ue_noinfo_count");
      for (const std::string& entry : list_directory(mc).value_or(std::vector<std::string>())) {
        const std::string row(number_behind(entry, "csrow"));
        if (row.empty()) continue;
        const std::string csrow = mc + "/" + entry;
        add_row(rows, controller, row, csrow + "/ce_count", csrow + "/ue_count");
        for (const std::string& file : list_directory(csrow).value_or(std::vector<std::string>())) {
          if (file.starts_with("ch") && file.ends_with("_ce_count")) add_channel(rows, controller, row, csrow, file);
        }
      }
    }
  }

  void add_row(Attributes& rows, const std::string& controller, const std::string& row, std::string correctable,
               std::string uncorrectable) {
    static const Attributes::Family kCorrectable = {"node_edac_csrow_correctable_errors_total", kCounter,
                                                    "Total correctable memory errors for this csrow."};
    static const Attributes::Family kUncorrectable = {"node_edac_csrow_uncorrectable_errors_total", kCounter,
                                                      "Total uncorrectable memory errors for this csrow."};
    rows.add(kCorrectable, {{"controller", controller}, {"csrow", row}}, std::move(correctable), read_integer);
    rows.add(kUncorrectable, {{"controller", controller}, {"csrow", row}}, std::move(uncorrectable), read_integer);
  }

  // `file` is "ch<N>_ce_count".
  void add_channel(Attributes& rows, const std::string& controller, const std::string& row, const std::string& csrow,
                   const std::string& file) {
    static const Attributes::Family kCorrectable = {"node_edac_channel_correctable_errors_total", kCounter,
                                                    "Total correctable memory errors for this channel."};
    static const Attributes::Family kUncorrectable = {"node_edac_channel_uncorrectable_errors_total", kCounter,
                                                      "Total uncorrectable memory errors for this channel."};
    const std::string channel = file.substr(2, file.size() - 2 - std::string_view("_ce_count").size());
    if (!decimal(channel)) return;
    const std::string stem = csrow + "/ch" + channel;
    const Attributes::Labels labels = {{"controller", controller},
                                       {"csrow", row},
                                       {"channel", channel},
                                       {"dimm_label", dimm_label(stem + "_dimm_label")}};
    rows.add(kCorrectable, labels, stem + "_ce_count", read_integer);
    rows.add(kUncorrectable, labels, stem + "_ue_count", read_integer);
  }

  // The kernel's own labels are like "mc#0csrow#0channel#0".
  std::string dimm_label(const std::string& path) {
    auto label = text_of(reader(), path);
    if (!label || label->empty()) return "unknown";
    std::erase(*label, '#');
    for (const std::string_view word : {"csrow", "channel"}) {
      for (auto at = label->find(word); at != std::string::npos; at = label->find(word, at + word.size() + 1)) {
        label->insert(at, 1, '_');
      }
    }
    return *label;
  }
};

class WatchdogPart final : public AttributesPart {
 public:
  WatchdogPart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/watchdog") {}
  std::string_view name() const override { return "watchdog"; }

 private:
  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    static constexpr std::array<NamedFile, 7> kNumbers = {{
        {"node_watchdog_access_cs0", "access_cs0"},
        {"node_watchdog_bootstatus", "bootstatus"},
        {"node_watchdog_fw_version", "fw_version"},
        {"node_watchdog_nowayout", "nowayout"},
        {"node_watchdog_pretimeout_seconds", "pretimeout"},
        {"node_watchdog_timeleft_seconds", "timeleft"},
        {"node_watchdog_timeout_seconds", "timeout"},
    }};
    for (const std::string& name : names) {
      if (!name.starts_with("watchdog")) continue;
      const std::string watchdog = directory + "/" + name + "/";
      for (const auto& [metric, file] : kNumbers) {
        rows.add({std::string(metric), kGauge, "Value of /sys/class/watchdog/<watchdog>/" + std::string(file)},
                 {{"name", name}}, watchdog + std::string(file), read_integer);
      }
      std::vector<Attributes::Text> texts;
      for (const std::string_view file : {"options", "identity", "state", "status", "pretimeout_governor"}) {
        texts.push_back({.name = file, .path = watchdog + std::string(file)});
      }
      rows.add_info({"node_watchdog_info", kGauge, "Info of /sys/class/watchdog/<watchdog>"}, {{"name", name}},
                    std::move(texts));
    }
  }
};

}  // namespace

std::unique_ptr<Part> dmi_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<DmiPart>(reader, roots);
}

std::unique_ptr<Part> edac_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<EdacPart>(reader, roots);
}

std::unique_ptr<Part> watchdog_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<WatchdogPart>(reader, roots);
}

}  // namespace qd::observe::host
