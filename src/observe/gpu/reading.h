// What a pass found out about a GPU, as values.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "observe/gpu/families.h"
#include "observe/gpu/nvml_api.h"

namespace qd::observe::gpu {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// The numbers of a GPU or of an instance; kNone for what it does not tell.
class Figures {
 public:
  Figures() { values_.fill(kNone); }
  double& operator[](Figure figure) { return values_[static_cast<std::size_t>(figure)]; }
  double operator[](Figure figure) const { return values_[static_cast<std::size_t>(figure)]; }

 private:
  std::array<double, kFigures> values_;
};

// A GPU instance of a divided GPU (MIG).
struct InstanceReading {
  std::uint32_t id = 0;
  std::string profile;  // "1g.5gb"
  Figures figures;
};

struct ProcessReading {
  std::uint32_t pid = 0;  // as the host sees it
  std::uint32_t instance = nvml::kNoInstance;
  double fb_mib = kNone;
  double sm_percent = kNone;
};

// How often each of some things happened, by what it is.
using Counts = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

struct DeviceReading {
  std::uint32_t index = 0;
  // Of every sample of the GPU: gpu, UUID, …; names are literals. Empty when it was never seen well.
  std::vector<std::pair<std::string_view, std::string>> labels;
  Figures figures;
  bool is_divided = false;
  std::vector<InstanceReading> instances;
  std::vector<ProcessReading> processes;
  std::size_t processes_left_out = 0;
  std::size_t instances_left_out = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> peers;  // index and nvml::P2pStatus
  // What Quarterdeck itself remembers, which is told of a lost GPU as well.
  std::uint64_t last_xid = 0;
  Counts xids;          // by number
  Counts clock_events;  // by bit
  bool has_xids = false;
  bool has_clock_events = false;
  bool is_lost = false;
  // What kept it from being read, or from being read whole.
  std::optional<base::Error> error;
};

}  // namespace qd::observe::gpu
