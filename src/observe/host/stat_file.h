// /proc/stat (Documentation/filesystems/proc.rst, "Miscellaneous kernel statistics in /proc/stat"), read once a pass
// for all parts that need it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "observe/host/part.h"

namespace qd::observe::host {

class StatFile {
 public:
  // Columns of a cpu line, in ticks of 1/100 s (USER_HZ, the same on every architecture that Debian 12 has).
  enum Column { kUser, kNice, kSystem, kIdle, kIowait, kIrq, kSoftirq, kSteal, kGuest, kGuestNice, kColumns };
  struct Cpu {
    std::uint64_t number = 0;
    std::array<char, 20> digits{};
    std::size_t digits_size = 0;
    std::array<std::uint64_t, kColumns> ticks{};

    std::string_view label() const { return {digits.data(), digits_size}; }
  };

  StatFile(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs + "/stat", Shows::kEverything) {}

  // Reads the file unless pass `number` has.
  Outcome refresh(std::uint64_t number);

  const std::vector<Cpu>& cpus() const { return cpus_; }
  // Grows whenever a CPU came or went.
  std::uint64_t cpus_changed() const { return cpus_changed_; }
  std::optional<std::uint64_t> interrupts, context_switches, boot_time_s, forks, running, blocked;

 private:
  void read_cpu(std::string_view key, Scanner& words, std::size_t index);

  KeptFile file_;
  std::uint64_t number_ = 0;
  Outcome outcome_;
  std::vector<Cpu> cpus_;
  std::uint64_t cpus_changed_ = 0;
};

}  // namespace qd::observe::host
