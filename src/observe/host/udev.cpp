#include "observe/host/udev.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>

#include "base/format.h"
#include "observe/host/part.h"

namespace qd::observe::host {

UdevProperties parse_udev(std::string_view text) {
  struct Key {
    std::string_view name;
    std::string UdevProperties::* member;
  };
  static constexpr std::array<Key, 19> kKeys = {{
      {"DM_LV_LAYER", &UdevProperties::dm_lv_layer},
      {"DM_LV_NAME", &UdevProperties::dm_lv_name},
      {"DM_NAME", &UdevProperties::dm_name},
      {"DM_UUID", &UdevProperties::dm_uuid},
      {"DM_VG_NAME", &UdevProperties::dm_vg_name},
      {"ID_ATA", &UdevProperties::ata},
      {"ID_ATA_ROTATION_RATE_RPM", &UdevProperties::ata_rotation_rate_rpm},
      {"ID_ATA_WRITE_CACHE", &UdevProperties::ata_write_cache},
      {"ID_ATA_WRITE_CACHE_ENABLED", &UdevProperties::ata_write_cache_enabled},
      {"ID_FS_TYPE", &UdevProperties::fs_type},
      {"ID_FS_USAGE", &UdevProperties::fs_usage},
      {"ID_FS_UUID", &UdevProperties::fs_uuid},
      {"ID_FS_VERSION", &UdevProperties::fs_version},
      {"ID_MODEL", &UdevProperties::model},
      {"ID_PATH", &UdevProperties::path},
      {"ID_REVISION", &UdevProperties::revision},
      {"ID_SERIAL_SHORT", &UdevProperties::serial_short},
      {"ID_WWN", &UdevProperties::wwn},
      {"SCSI_IDENT_SERIAL", &UdevProperties::scsi_ident_serial},
  }};
  UdevProperties properties;
  Scanner lines(text);
  while (!lines.at_end()) {
    std::string_view line = lines.line();
    if (!line.starts_with("E:")) continue;
    line.remove_prefix(2);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    for (const Key& key : kKeys) {
      if (key.name != line.substr(0, equals)) continue;
      properties.*key.member = line.substr(equals + 1);
      make_utf8(properties.*key.member);
    }
  }
  return properties;
}

bool UdevData::present() const {
  struct stat status{};
  return ::stat(directory_.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

const UdevProperties& UdevData::device(std::uint64_t major, std::uint64_t minor) {
  if (known_.size() > kDevicesMax) known_.clear();
  Known& known = known_[{major, minor}];
  path_.clear();
  base::append_format(path_, "{}/b{}:{}", directory_, major, minor);
  struct stat status{};
  const std::int64_t changed_ns =
      ::stat(path_.c_str(), &status) == 0 ? status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec : 0;
  if (changed_ns == known.changed_ns) return known.properties;
  known.changed_ns = changed_ns;
  const auto text = KeptFile(reader_, path_).read();
  known.properties = text ? parse_udev(*text) : UdevProperties{};
  return known.properties;
}

}  // namespace qd::observe::host
