// What bcachefs tells of each file system below <sysfs>/fs/bcachefs/<uuid> (fs/bcachefs/sysfs.c): numbers shortened as
// "2.05G", tables with a row a kind.

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// Of a counter: "since mount: …" and "since filesystem creation: …".
std::optional<double> read_since_creation(std::string_view text) {
  static constexpr std::string_view kKey = "since filesystem creation:";
  Scanner lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    if (line.starts_with(kKey)) return read_binary_units(base::trim(line.substr(kKey.size())));
  }
  return std::nullopt;
}

// A row of a table that names what the row is of, "lz4" or "read:", cut off at a colon.
std::string_view without_colon(std::string_view key) {
  const auto colon = key.find(':');
  return base::trim(key.substr(0, colon));
}

class BcachefsPart final : public Part {
 public:
  BcachefsPart(FileReader& reader, const Roots& roots)
      : reader_(reader), listing_(roots.sysfs + "/fs/bcachefs"), rows_(reader) {}
  std::string_view name() const override { return "bcachefs"; }

  Outcome collect(const Pass& pass) override {
    if (listing_.changed(pass)) find();
    if (listing_.error() != 0) return Outcome::failed(listing_.error(), listing_.directory());
    if (tables_.empty()) return Outcome::failed(ENOENT, listing_.directory());
    for (Rows<Row>& rows : told_) rows.clear();
    for (Table& table : tables_) {
      if (const auto text = table.file.read()) (this->*table.read)(*text, table);
    }
    for (std::size_t i = 0; i < kFamilies.size(); ++i) tell(pass.sink, kFamilies[i], told_[i]);
    if (!rows_.tell(pass)) return Outcome::failed(ETIMEDOUT, listing_.directory());
    return {};
  }

 private:
  // A kernel knows some hundred kinds of errors.
  static constexpr std::size_t kRowsMax = 16'384;

  enum Kind { kCompressed, kUncompressed, kErrors, kWrites, kWriteSize, kIoDone, kIoErrors };
  struct Family {
    std::string_view metric;
    model::MetricType type;
    std::string_view help;
    std::string_view key;  // the label that names the row
  };
  static constexpr std::array<Family, 7> kFamilies = {{
      {"node_bcachefs_compression_compressed_bytes", kGauge, "Compressed size by algorithm.", "algorithm"},
      {"node_bcachefs_compression_uncompressed_bytes", kGauge, "Uncompressed size by algorithm.", "algorithm"},
      {"node_bcachefs_errors_total", kCounter, "Error count by error type.", "error_type"},
      {"node_bcachefs_btree_writes_total", kCounter, "Number of btree writes by type.", "type"},
      {"node_bcachefs_btree_write_average_size_bytes", kGauge, "Average btree write size by type.", "type"},
      {"node_bcachefs_device_io_done_bytes_total", kCounter, "IO bytes by operation type and data type.", "data_type"},
      {"node_bcachefs_device_io_errors_total", kCounter, "IO errors by error type.", "type"},
  }};
  struct Row {
    std::string_view uuid, device;  // of the table
    std::string_view operation;     // a literal
    std::string key;
    double value = 0;
  };
  struct Table {
    std::string uuid, device;
    KeptFile file;
    void (BcachefsPart::*read)(std::string_view text, const Table& table);
  };

  void add(Kind kind, const Table& table, std::string_view operation, std::string_view key,
           std::optional<double> value) {
    if (!value || key.empty() || told_[kind].size() == kRowsMax) return;
    Row& row = told_[kind].add();
    row.uuid = table.uuid;
    row.device = table.device;
    row.operation = operation;
    row.key = key;
    make_utf8(row.key);
    row.value = *value;
  }

  // Headings, then "lz4  48.9G  71.2G  62.5k".
  void read_compression(std::string_view text, const Table& table) {
    Scanner lines(text);
    lines.line();
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view algorithm = words.word(), compressed = words.word(), uncompressed = words.word();
      add(kCompressed, table, {}, algorithm, read_binary_units(compressed));
      add(kUncompressed, table, {}, algorithm, read_binary_units(uncompressed));
    }
  }

  // "bset_bad_csum  2  1767112063": how often, and when last.
  void read_errors(std::string_view text, const Table& table) {
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view key = words.word();
      add(kErrors, table, {}, key, read_integer(words.word()));
    }
  }

  // Headings, then "initial:  3298401  100k".
  void read_writes(std::string_view text, const Table& table) {
    Scanner lines(text);
    lines.line();
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view key = without_colon(words.word()), count = words.word(), size = words.word();
      add(kWrites, table, {}, key, read_integer(count));
      add(kWriteSize, table, {}, key, read_binary_units(size));
    }
  }

  // "read:" and "write:", each with lines "btree       :  2193358848".
  void read_io_done(std::string_view text, const Table& table) {
    std::string_view operation;
    Scanner lines(text);
    while (!lines.at_end()) {
      const std::string_view line = base::trim(lines.line());
      if (line == "read:" || line == "write:") {
        operation = line == "read:" ? "read" : "write";
        continue;
      }
      const auto colon = line.find(':');
      if (operation.empty() || colon == std::string_view::npos) continue;
      add(kIoDone, table, operation, without_colon(line), read_integer(base::trim(line.substr(colon + 1))));
    }
  }

  // Two sections; the first, since the file system was made, is wanted.
  void read_io_errors(std::string_view text, const Table& table) {
    Scanner lines(text);
    lines.line();
    while (!lines.at_end()) {
      const std::string_view line = lines.line();
      if (line.starts_with("IO errors since")) return;
      const auto colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      add(kIoErrors, table, {}, without_colon(line), read_integer(base::trim(line.substr(colon + 1))));
    }
  }

  void find() {
    rows_.clear();
    tables_.clear();
    for (const std::string& uuid : listing_.names()) {
      const std::string path = listing_.directory() + "/" + uuid;
      const auto entries = list_directory(path);
      if (!entries) continue;
      const Attributes::Labels labels = {{"uuid", uuid}};
      rows_.add_info({"node_bcachefs_info", kGauge, "Filesystem information."}, labels, {});
      rows_.add({"node_bcachefs_btree_cache_size_bytes", kGauge, "Btree cache memory usage in bytes."}, labels,
                path + "/btree_cache_size", read_binary_units);
      for (const std::string& counter : list_directory(path + "/counters").value_or(std::vector<std::string>())) {
        std::string metric = "node_bcachefs_";
        append_name_part(metric, counter);
        metric += "_total";
        const auto taken = std::find_if(kFamilies.begin(), kFamilies.end(),
                                        [&](const Family& family) { return family.metric == metric; });
        if (taken != kFamilies.end()) continue;
        rows_.add({metric, kCounter, "Bcachefs counter " + counter + " since filesystem creation."}, labels,
                  path + "/counters/" + counter, read_since_creation);
      }
      add_table(uuid, {}, path + "/compression_stats", &BcachefsPart::read_compression);
      add_table(uuid, {}, path + "/errors", &BcachefsPart::read_errors);
      add_table(uuid, {}, path + "/btree_write_stats", &BcachefsPart::read_writes);
      for (const std::string& entry : *entries) {
        if (entry.starts_with("dev-")) add_device(uuid, entry.substr(4), path + "/" + entry);
      }
    }
    rows_.finish();
  }

  void add_table(const std::string& uuid, const std::string& device, const std::string& path,
                 void (BcachefsPart::*read)(std::string_view, const Table&)) {
    if (!exists(path)) return;
    tables_.push_back({.uuid = uuid, .device = device, .file = KeptFile(reader_, path), .read = read});
    make_utf8(tables_.back().uuid);
    make_utf8(tables_.back().device);
  }

  void add_device(const std::string& uuid, const std::string& device, const std::string& path) {
    const Attributes::Labels labels = {{"uuid", uuid}, {"device", device}};
    rows_.add_info({"node_bcachefs_device_info", kGauge, "Device information."}, labels,
                   {{.name = "label", .path = path + "/label"}, {.name = "state", .path = path + "/state"}});
    rows_.add({"node_bcachefs_device_bucket_size_bytes", kGauge, "Bucket size in bytes."}, labels,
              path + "/bucket_size", read_binary_units);
    rows_.add({"node_bcachefs_device_buckets", kGauge, "Total number of buckets."}, labels, path + "/nbuckets",
              read_integer);
    rows_.add({"node_bcachefs_device_durability", kGauge, "Device durability setting."}, labels, path + "/durability",
              read_integer);
    add_table(uuid, device, path + "/io_done", &BcachefsPart::read_io_done);
    add_table(uuid, device, path + "/io_errors", &BcachefsPart::read_io_errors);
  }

  void tell(Sink& sink, const Family& family, Rows<Row>& rows) {
    if (rows.size() == 0) return;
    sink.family(family.metric, family.type, family.help);
    for (const Row& row : rows) {
      std::array<model::Label, 4> labels;
      std::size_t size = 0;
      labels[size++] = {"uuid", row.uuid};
      if (!row.device.empty()) labels[size++] = {"device", row.device};
      if (!row.operation.empty()) labels[size++] = {"operation", row.operation};
      labels[size++] = {family.key, row.key};
      sink.sample(std::span<const model::Label>(labels.data(), size), row.value);
    }
  }

  FileReader& reader_;
  Listing listing_;
  Attributes rows_;
  std::vector<Table> tables_;
  std::array<Rows<Row>, kFamilies.size()> told_;
};

}  // namespace

std::unique_ptr<Part> bcachefs_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<BcachefsPart>(reader, roots);
}

}  // namespace qd::observe::host
