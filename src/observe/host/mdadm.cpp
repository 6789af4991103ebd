// Software RAID: /proc/mdstat (md_seq_show in drivers/md/md.c), and what is in /sys/block/md<N>/md
// (Documentation/admin-guide/md.rst).

#include <algorithm>
#include <array>
#include <charconv>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class MdadmPart final : public Part {
 public:
  MdadmPart(FileReader& reader, const Roots& roots)
      : file_(reader, roots.procfs + "/mdstat"), listing_(roots.sysfs + "/block"), rows_(reader) {}
  std::string_view name() const override { return "mdadm"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read(pass);
    if (!text) return Outcome::failed(text.error(), file_.path());
    const bool understood = read_arrays(*text);
    tell_arrays(pass.sink);
    if (listing_.changed(pass)) find_arrays();
    if (!rows_.tell(pass)) return Outcome::failed(ETIMEDOUT, listing_.directory());
    return understood ? Outcome() : Outcome::not_understood(file_.path());
  }

 private:
  enum class State { kActive, kInactive, kRecovering, kResync, kCheck, kOther };
  struct Array {
    std::string name;
    State state = State::kOther;
    std::uint64_t active = 0, required = 0, failed = 0, spare = 0;
    std::uint64_t blocks = 0, synced = 0;
  };
  static constexpr std::size_t kArraysMax = 4096;

  // "md3 : active raid6 sda1[8] sdh1[7](F) …", a line "<blocks> blocks … [8/8] [UUUUUUUU]", then lines about a bitmap
  // and about what is going on, until an empty one.
  bool read_arrays(std::string_view text) {
    arrays_.clear();
    bool understood = true;
    Scanner lines(text);
    while (!lines.at_end()) {
      const std::string_view line = lines.line();
      if (line.empty() || line.front() == ' ' || line.starts_with("Personalities") || line.starts_with("unused")) {
        continue;
      }
      if (arrays_.size() == kArraysMax) return false;
      Array& array = arrays_.add();
      array = {.name = std::move(array.name)};
      if (!read_heading(line, array) || !read_blocks(lines.line(), array)) {
        arrays_.drop_last();
        understood = false;
        continue;
      }
      while (!lines.at_end()) {
        const std::string_view more = lines.line();
        if (more.empty()) break;
        read_progress(more, array);
      }
    }
    return understood;
  }

  bool read_heading(std::string_view line, Array& array) {
    Scanner words(line);
    const std::string_view name = words.word();
    if (words.word() != ":") return false;
    const std::string_view state = words.word();
    if (state.empty()) return false;
    array.name = name;
    make_utf8(array.name);
    array.state = state == "active" ? State::kActive : state == "inactive" ? State::kInactive : State::kOther;
    members_ = 0;
    for (std::string_view word = words.word(); !word.empty(); word = words.word()) {
      if (word.find('[') == std::string_view::npos) continue;
      if (word.ends_with("(F)")) {
        ++array.failed;
      } else if (word.ends_with("(S)")) {
        ++array.spare;
      } else {
        ++members_;
      }
    }
    return true;
  }

  // Levels without redundancy have no "[required/active]".
  bool read_blocks(std::string_view line, Array& array) {
    Scanner words(line);
    if (!words.number(array.blocks) || !words.word().starts_with("blocks")) return false;
    array.synced = array.blocks;
    array.active = members_;
    array.required = members_;
    for (std::string_view word = words.word(); !word.empty(); word = words.word()) {
      const auto slash = word.find('/');
      if (!word.starts_with('[') || !word.ends_with(']') || slash == std::string_view::npos) continue;
      const auto required = decimal(word.substr(1, slash - 1));
      const auto active = decimal(word.substr(slash + 1, word.size() - slash - 2));
      if (!required || !active) return false;
      array.required = *required;
      array.active = *active;
    }
    if (array.state == State::kInactive) {
      array.required = 0;
      array.active = 0;
    }
    return true;
  }

  // "[=>...]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec", or "resync=DELAYED".
  static void read_progress(std::string_view line, Array& array) {
    struct Action {
      std::string_view word;
      State state;
    };
    static constexpr std::array<Action, 4> kActions = {{
        {"recovery", State::kRecovering},
        {"reshape", State::kOther},
        {"resync", State::kResync},
        {"check", State::kCheck},
    }};
    const auto action = std::find_if(kActions.begin(), kActions.end(), [&](const Action& candidate) {
      return line.find(candidate.word) != std::string_view::npos;
    });
    if (action == kActions.end()) return;
    if (action->state != State::kOther) array.state = action->state;
    if (line.find("PENDING") != std::string_view::npos || line.find("DELAYED") != std::string_view::npos) {
      array.synced = 0;
      return;
    }
    const auto open = line.find('(');
    const auto slash = line.find('/', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || slash == std::string_view::npos) return;
    array.synced = decimal(line.substr(open + 1, slash - open - 1)).value_or(array.synced);
  }

  void tell_arrays(Sink& sink) {
    if (arrays_.size() == 0) return;
    struct Count {
      std::string_view metric;
      std::string_view help;
      std::uint64_t Array::* member;
    };
    static constexpr std::array<Count, 3> kCounts = {{
        {"node_md_blocks", "Total number of blocks on device.", &Array::blocks},
        {"node_md_blocks_synced", "Number of blocks synced on device.", &Array::synced},
        {"node_md_disks_required", "Total number of disks of device.", &Array::required},
    }};
    for (const auto& [metric, help, member] : kCounts) {
      sink.family(metric, kGauge, help);
      for (const Array& array : arrays_) sink.sample({{"device", array.name}}, static_cast<double>(array.*member));
    }
    sink.family("node_md_disks", kGauge, "Number of active/failed/spare disks of device.");
    for (const Array& array : arrays_) {
      sink.sample({{"device", array.name}, {"state", "active"}}, static_cast<double>(array.active));
      sink.sample({{"device", array.name}, {"state", "failed"}}, static_cast<double>(array.failed));
      sink.sample({{"device", array.name}, {"state", "spare"}}, static_cast<double>(array.spare));
    }
    static constexpr std::array<std::string_view, 5> kStates = {"active", "inactive", "recovering", "resync", "check"};
    sink.family("node_md_state", kGauge, "Indicates the state of md-device.");
    for (const Array& array : arrays_) {
      for (std::size_t i = 0; i < kStates.size(); ++i) {
        const bool is = static_cast<std::size_t>(array.state) == i;
        sink.sample({{"device", array.name}, {"state", kStates[i]}}, is ? 1 : 0);
      }
    }
  }

  // Levels without redundancy cannot be degraded.
  void find_arrays() {
    static constexpr ReadNumber kNever = [](std::string_view) { return std::optional(0.0); };
    rows_.clear();
    for (const std::string& name : listing_.names()) {
      const std::string md = listing_.directory() + "/" + name + "/md";
      if (!name.starts_with("md") || !exists(md + "/raid_disks")) continue;
      const Attributes::Labels labels = {{"device", name}};
      rows_.add({"node_md_raid_disks", kGauge, "Number of raid disks on device."}, labels, md + "/raid_disks",
                read_raid_disks);
      const bool redundant = exists(md + "/degraded");
      rows_.add({"node_md_degraded", kGauge, "Number of degraded disks on device."}, labels,
                md + (redundant ? "/degraded" : "/raid_disks"), redundant ? read_integer : kNever);
    }
    rows_.finish();
  }

  // While the number changes: "4 (3)", the new one and the old one.
  static std::optional<double> read_raid_disks(std::string_view text) {
    return read_integer(text.substr(0, text.find(' ')));
  }

  RareFile file_;
  Listing listing_;
  Attributes rows_;
  Rows<Array> arrays_;
  std::uint64_t members_ = 0;  // of the array being read, neither failed nor spare
};

}  // namespace

std::unique_ptr<Part> mdadm_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<MdadmPart>(reader, roots);
}

}  // namespace qd::observe::host
