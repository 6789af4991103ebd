// What udev knows about block devices: /run/udev/data/b<major>:<minor>, lines of "E:KEY=VALUE" (systemd's
// src/libsystemd/sd-device/device-private.c writes them).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "observe/kept_file.h"

namespace qd::observe::host {

struct UdevProperties {
  std::string dm_name, dm_uuid, dm_vg_name, dm_lv_name, dm_lv_layer;
  std::string ata, ata_rotation_rate_rpm, ata_write_cache, ata_write_cache_enabled;
  std::string fs_type, fs_usage, fs_uuid, fs_version;
  std::string model, path, revision, serial_short, wwn, scsi_ident_serial;

  // What is printed on the disk, where udev has it.
  const std::string& serial() const { return scsi_ident_serial.empty() ? serial_short : scsi_ident_serial; }
};

UdevProperties parse_udev(std::string_view text);

// Reads a device's file when it is new or has changed. References last until the next call.
class UdevData {
 public:
  UdevData(FileReader& reader, std::string directory) : reader_(reader), directory_(std::move(directory)) {}

  // Whether there is udev at all (containers have none). Asks the file system.
  bool present() const;
  // Empty properties for a device without a file.
  const UdevProperties& device(std::uint64_t major, std::uint64_t minor);

 private:
  // Devices that were removed stay known up to this many.
  static constexpr std::size_t kDevicesMax = 4096;
  struct Known {
    std::int64_t changed_ns = -1;
    UdevProperties properties;
  };

  FileReader& reader_;
  std::string directory_;
  std::string path_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Known> known_;
};

}  // namespace qd::observe::host
