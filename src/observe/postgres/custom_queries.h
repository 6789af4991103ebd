// Queries of the user's own, in the format of postgres_exporter's queries.yaml:
//
//   orders:
//     query: "SELECT state, count(*) AS count FROM orders GROUP BY 1"
//     master: true          # in the configured database only, also with all_databases
//     cache_seconds: 60
//     runonserver: ">=13.0.0"
//     metrics:
//       - state: {usage: "LABEL", description: "Of the order"}
//       - count: {usage: "GAUGE", description: "Orders in this state"}   # orders_count{state="…",server="…"}
//
// Usages: LABEL, COUNTER, GAUGE, HISTOGRAM, MAPPEDMETRIC (with metric_mapping), DURATION (text such as "1h5s", told in
// milliseconds), DISCARD. A column that is not described is told without a type when it is a number. What the collector
// tells itself is left out, so that the exporter's old example file does no harm.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config/node.h"
#include "model/metadata.h"
#include "observe/collector.h"
#include "observe/postgres/table.h"

namespace qd::observe::postgres {

inline constexpr std::size_t kCustomQueriesMax = 500;

// A range of versions as the exporter's file has it: ">=9.6.0 <12 || >13".
class VersionRange {
 public:
  static base::Result<VersionRange> parse(std::string_view text);
  // As server_version_num: 150020.
  bool contains(int server_version) const;

 private:
  struct Bound {
    enum class Is : std::uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kMore, kMoreEqual } is = Is::kEqual;
    std::int64_t version = 0;
  };
  std::vector<std::vector<Bound>> any_of_;  // each: all of; empty: every version
};

enum class Usage : std::uint8_t { kDiscard, kLabel, kCounter, kGauge, kHistogram, kMapped, kDuration };

struct CustomColumn {
  std::string name;
  Usage usage = Usage::kDiscard;
  std::string family;
  std::string help;
  std::map<std::string, double, std::less<>> mapping;
  std::optional<VersionRange> versions;
};

struct CustomQuery {
  std::string name;
  std::string sql;
  bool master = false;
  std::int64_t cache_ms = 0;
  std::optional<VersionRange> versions;
  std::vector<CustomColumn> columns;
};

// kInvalid says where in the file what is wrong.
base::Result<std::vector<CustomQuery>> read_custom_queries(const model::config::Node& file);

// Tells the rows of one query.
class CustomTeller {
 public:
  explicit CustomTeller(std::string server) : server_(std::move(server)) {}
  // Before the first query of a pass.
  void begin() { told_.clear(); }
  // Families that a query before told are left out, and rows that would repeat a series.
  void tell(const CustomQuery& query, int server_version, const Table& table, Sink& sink);

 private:
  struct Target {
    const CustomColumn* column = nullptr;
    std::string family;
    std::string_view help;
    model::MetricType type = model::MetricType::kUnknown;
  };
  void match(const CustomQuery& query, int server_version, const Table& table);
  void tell_values(const Target& target, std::size_t column, const Table& table, Sink& sink);
  void tell_histogram(const Target& target, std::size_t column, const Table& table, Sink& sink);
  std::optional<std::size_t> find(std::string_view column, const Table& table) const;
  bool first_of_its_labels(std::size_t row, const Table& table);
  void fill_labels(std::size_t row, const Table& table);

  std::string server_;
  std::set<std::string, std::less<>> told_;  // families in this pass
  std::vector<Target> targets_;              // by column of the answer
  std::vector<std::size_t> label_columns_;
  std::vector<model::Label> labels_;
  std::vector<std::string> label_texts_;
  std::set<std::string, std::less<>> seen_;  // labels of the family that is told
  std::string key_;
};

// A value of a column by its type: numbers, true and false, times as seconds since the epoch.
std::optional<double> custom_number(std::string_view text, std::uint32_t type);
// As Go writes a duration: "1h2m3.5s", "300ms". In milliseconds.
std::optional<double> parse_go_duration_ms(std::string_view text);
// "{1,2.5,4}"; nothing when an element is no number.
std::optional<std::vector<double>> parse_array(std::string_view text);

}  // namespace qd::observe::postgres
