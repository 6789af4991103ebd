// What the mysql collector is made of: a part for each subject, named as mysqld_exporter names its collectors. Families
// have mysqld_exporter's names, types and HELP texts (families.h).
//
// A part asks the server, tells families and samples, and fails alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "observe/collector.h"
#include "observe/mysql/session.h"

namespace qd::observe::mysql {

struct Options;

struct Pass {
  Sink& sink;
  Session& session;

  Server& server() const { return session.server(); }
};

class Part {
 public:
  virtual ~Part() = default;
  virtual base::Status collect(const Pass& pass) = 0;
};

struct PartInfo {
  std::string_view name;
  bool by_default;
  std::function<std::unique_ptr<Part>(const Options& options)> make;
};
// In the order in which they run: first what tells the others what the server has.
const std::vector<PartInfo>& parts();

// A value as mysqld_exporter reads them: a number, or a word that says on or off. Nothing for other text.
std::optional<double> status_value(std::string_view text);

// Names of metrics: lower case, and '_' for what they cannot hold.
void append_name(std::string& name, std::string_view text);

// Makes cells into label values: UTF-8, and at most kLabelBytesMax. What it gives is valid until the next call.
class LabelText {
 public:
  static constexpr std::size_t kLabelBytesMax = 1024;
  std::string_view operator()(std::string_view text);

 private:
  std::string made_;
};

// Which of the keys that are added have been there before. Keeps its memory.
class Repeats {
 public:
  void clear() { hashes_.clear(); }
  void add(std::uint64_t hash) { hashes_.push_back(hash); }
  // By place: true for the second and later ones of equal keys. Valid until the next call.
  const std::vector<bool>& find();

 private:
  struct Place {
    std::uint64_t hash;
    std::size_t at;
  };
  std::vector<std::uint64_t> hashes_;
  std::vector<Place> order_;
  std::vector<bool> repeated_;
};

std::unique_ptr<Part> global_status_part(const Options& options);
std::unique_ptr<Part> global_variables_part(const Options& options);
std::unique_ptr<Part> slave_status_part(const Options& options);
std::unique_ptr<Part> slave_hosts_part(const Options& options);
std::unique_ptr<Part> binlog_size_part(const Options& options);
std::unique_ptr<Part> group_members_part(const Options& options);
std::unique_ptr<Part> processlist_part(const Options& options);
std::unique_ptr<Part> innodb_metrics_part(const Options& options);
std::unique_ptr<Part> engine_innodb_status_part(const Options& options);
std::unique_ptr<Part> response_time_part(const Options& options);
std::unique_ptr<Part> client_statistics_part(const Options& options);
std::unique_ptr<Part> user_statistics_part(const Options& options);

}  // namespace qd::observe::mysql
