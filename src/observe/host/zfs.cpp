// What OpenZFS counts: <procfs>/spl/kstat/zfs (module/os/linux/spl/spl-kstat.c), files of lines "name type data", and
// for each pool a directory with its I/O, its state, and a file a dataset.

#include <array>

#include "base/strings.h"
#include "observe/host/listing.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// Numbers of 64 bits, with a sign and without; the other types are texts and times.
constexpr std::string_view kSigned = "3", kUnsigned = "4";

struct Kstat {
  std::string_view name;
  double value;
};

// Two lines of headings, then a line a count. Lines of other types are passed over.
template <typename Take>
void read_kstats(std::string_view text, Take take) {
  Scanner lines(text);
  lines.line();
  lines.line();
  while (!lines.at_end()) {
    Scanner words(lines.line());
    const std::string_view name = words.word(), type = words.word(), data = words.word();
    if (type == kUnsigned) {
      if (const auto value = decimal(data)) take(Kstat{name, static_cast<double>(*value)});
    } else if (type == kSigned) {
      if (const auto value = real(data)) take(Kstat{name, *value});
    }
  }
}

class ZfsPart final : public Part {
 public:
  ZfsPart(FileReader& reader, const Roots& roots) : reader_(reader), listing_(roots.procfs + "/spl/kstat/zfs") {
    for (const Kind& kind : kKinds) {
      counts_.push_back({RareFile(reader, listing_.directory() + "/" + std::string(kind.file)), {}});
    }
  }
  std::string_view name() const override { return "zfs"; }

  Outcome collect(const Pass& pass) override {
    if (listing_.changed(pass)) find_pools();
    if (listing_.error() != 0) return Outcome::failed(listing_.error(), listing_.directory());
    for (std::size_t i = 0; i < kKinds.size(); ++i) tell_counts(pass, kKinds[i], counts_[i]);
    if (pass.late()) return Outcome::failed(ETIMEDOUT, listing_.directory());
    tell_io(pass.sink);
    tell_datasets(pass.sink);
    tell_states(pass.sink);
    return {};
  }

 private:
  struct Kind {
    std::string_view file;
    std::string_view prefix;
  };
  // dbufstats was dbuf_stats before OpenZFS 0.8.
  static constexpr auto kKinds = std::to_array<Kind>({
      {"abdstats", "node_zfs_abd_"},
      {"arcstats", "node_zfs_arc_"},
      {"dbuf_stats", "node_zfs_dbuf_"},
      {"dbufstats", "node_zfs_dbuf_"},
      {"dmu_tx", "node_zfs_dmu_tx_"},
      {"dnodestats", "node_zfs_dnode_"},
      {"fm", "node_zfs_fm_"},
      {"vdev_cache_stats", "node_zfs_vdev_cache_"},
      {"vdev_mirror_stats", "node_zfs_vdev_mirror_"},
      {"xuio_stats", "node_zfs_xuio_"},
      {"zfetchstats", "node_zfs_zfetch_"},
      {"zil", "node_zfs_zil_"},
  });
  struct Counts {
    RareFile file;
    NamedFields fields;
  };

  static constexpr std::size_t kPoolsMax = 256, kDatasetsMax = 16'384, kColumnsMax = 64;
  struct Pool {
    std::string name;
    KeptFile io;
    KeptFile state_file;
    std::array<double, kColumnsMax> values{};
    std::size_t columns = 0;
    std::string state;
  };
  struct Dataset {
    std::size_t pool = 0;
    KeptFile file;
    std::string name;
    std::array<std::optional<double>, kColumnsMax> values{};
  };
  // Names of columns that pools or datasets have, in the order in which they were first seen.
  struct Columns {
    std::vector<NamedFields::Field> fields;

    // kColumnsMax for more than there is room for. `hint` is where it is likely to be.
    std::size_t place(std::string_view key, std::size_t hint, std::string_view prefix, std::string_view help) {
      if (hint < fields.size() && fields[hint].key == key) return hint;
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i].key == key) return i;
      }
      if (fields.size() == kColumnsMax) return kColumnsMax;
      NamedFields::Field& field = fields.emplace_back();
      field.key = key;
      field.name = prefix;
      append_name_part(field.name, key);
      field.help = std::string(help) + field.key;
      make_utf8(field.help);
      return fields.size() - 1;
    }
  };

  void find_pools() {
    pools_.clear();
    datasets_.clear();
    for (const std::string& name : listing_.names()) {
      const std::string directory = listing_.directory() + "/" + name;
      const auto files = list_directory(directory);
      if (!files || pools_.size() == kPoolsMax) continue;
      pools_.push_back({.name = name,
                        .io = KeptFile(reader_, directory + "/io"),
                        .state_file = KeptFile(reader_, directory + "/state"),
                        .state = {}});
      make_utf8(pools_.back().name);
      for (const std::string& file : *files) {
        if (!file.starts_with("objset-") || datasets_.size() == kDatasetsMax) continue;
        datasets_.push_back({.pool = pools_.size() - 1, .file = KeptFile(reader_, directory + "/" + file), .name = {}});
      }
    }
  }

  static void tell_counts(const Pass& pass, const Kind& kind, Counts& counts) {
    const auto text = counts.file.read(pass);
    if (!text) return;
    counts.fields.begin();
    read_kstats(*text, [&](const Kstat& kstat) {
      const auto& field = counts.fields.next(kstat.name, [&](NamedFields::Field& made) {
        made.name = kind.prefix;
        append_name_part(made.name, kstat.name);
        made.help = "kstat.zfs.misc." + std::string(kind.file) + "." + made.key;
        make_utf8(made.help);
      });
      pass.sink.family(field.name, kUnknown, field.help);
      pass.sink.sample(kstat.value);
    });
  }

  // A line of headings, one of names, one of numbers.
  void tell_io(Sink& sink) {
    for (Pool& pool : pools_) {
      const auto text = pool.io.read();
      pool.columns = 0;
      if (!text) continue;
      Scanner lines(*text);
      lines.line();
      Scanner names(lines.line()), numbers(lines.line());
      for (std::string_view name = names.word(); !name.empty(); name = names.word()) {
        const std::size_t place = io_.place(name, pool.columns, "node_zfs_zpool_", "kstat.zfs.misc.io.");
        const auto value = decimal(numbers.word());
        // All pools have the same columns.
        if (!value || place != pool.columns) break;
        pool.values[pool.columns++] = static_cast<double>(*value);
      }
    }
    for (std::size_t i = 0; i < io_.fields.size(); ++i) {
      bool begun = false;
      for (const Pool& pool : pools_) {
        if (pool.columns <= i) continue;
        if (!begun) sink.family(io_.fields[i].name, kUnknown, io_.fields[i].help);
        begun = true;
        sink.sample({{"zpool", pool.name}}, pool.values[i]);
      }
    }
  }

  void tell_datasets(Sink& sink) {
    for (Dataset& dataset : datasets_) {
      dataset.values.fill(std::nullopt);
      const auto text = dataset.file.read();
      if (!text || !read_name(*text, dataset.name)) continue;
      std::size_t hint = 0;
      read_kstats(*text, [&](const Kstat& kstat) {
        const std::size_t place =
            objset_.place(kstat.name, hint++, "node_zfs_zpool_dataset_", "kstat.zfs.misc.objset.");
        if (place < kColumnsMax) dataset.values[place] = kstat.value;
      });
    }
    for (std::size_t i = 0; i < objset_.fields.size(); ++i) {
      bool begun = false;
      for (const Dataset& dataset : datasets_) {
        if (!dataset.values[i]) continue;
        if (!begun) sink.family(objset_.fields[i].name, kUnknown, objset_.fields[i].help);
        begun = true;
        sink.sample({{"zpool", pools_[dataset.pool].name}, {"dataset", dataset.name}}, *dataset.values[i]);
      }
    }
  }

  // "dataset_name  7  pool1/dataset1"
  static bool read_name(std::string_view text, std::string& name) {
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      if (words.word() != "dataset_name") continue;
      words.word();
      name = base::trim(words.rest());
      make_utf8(name);
      return true;
    }
    return false;
  }

  void tell_states(Sink& sink) {
    static constexpr std::array<std::string_view, 7> kStates = {"online",  "degraded", "faulted",  "offline",
                                                                "removed", "unavail",  "suspended"};
    bool begun = false;
    for (Pool& pool : pools_) {
      const auto text = pool.state_file.read();
      if (!text) continue;
      pool.state.clear();
      for (const char c : base::trim(*text))
        pool.state += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
      if (!begun) sink.family("node_zfs_zpool_state", kGauge, "kstat.zfs.misc.state");
      begun = true;
      for (const std::string_view state : kStates) {
        sink.sample({{"zpool", pool.name}, {"state", state}}, pool.state == state ? 1 : 0);
      }
    }
  }

  FileReader& reader_;
  Listing listing_;
  std::vector<Counts> counts_;
  std::vector<Pool> pools_;
  std::vector<Dataset> datasets_;
  Columns io_, objset_;
};

}  // namespace

std::unique_ptr<Part> zfs_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<ZfsPart>(reader, roots);
}

}  // namespace qd::observe::host
