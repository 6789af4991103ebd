// What the host collector is made of: a part for each subject, named as node_exporter names its collectors. Families
// have node_exporter's names, types and HELP texts.
//
// A part reads its files, tells families and samples, and fails alone. It keeps descriptors, rows and names from pass
// to pass, so that a pass over an unchanged machine allocates nothing.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "observe/collector.h"
#include "observe/family_info.h"
#include "observe/kept_file.h"
#include "observe/scan.h"
#include "observe/utf8.h"

namespace qd::observe::host {

// Directories without a slash at the end; rootfs "/" is "".
struct Roots {
  std::string procfs;
  std::string sysfs;
  std::string rootfs;
  // Where the network files are: <procfs>/net is the network of the reader, <procfs>/1/net that of the machine, which
  // is what is wanted when the machine's /proc is seen from a container.
  std::string procfs_net;
};

// How a part ended. `what` names a file or call and lives as long as the part.
struct [[nodiscard]] Outcome {
  bool ok = true;
  int error = 0;  // errno; 0 for content that is not understood
  std::string_view what;

  static Outcome failed(int error_number, std::string_view what) { return {false, error_number, what}; }
  static Outcome not_understood(std::string_view what) { return {false, 0, what}; }
};

// Passes on what it is told and knows which families came in this pass, for a part that tells what others wrote.
class ToldFamilies final : public Sink {
 public:
  // `sink` lives until the next begin.
  void begin(Sink& sink) {
    sink_ = &sink;
    ++pass_;
  }
  bool has(std::string_view name) const {
    const auto found = passes_.find(name);
    return found != passes_.end() && found->second == pass_;
  }

  void family(std::string_view name, model::MetricType type, std::string_view help) override {
    const auto found = passes_.find(name);
    if (found != passes_.end()) {
      found->second = pass_;
    } else {
      passes_.emplace(name, pass_);
    }
    sink_->family(name, type, help);
  }
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const model::Label> labels, double value) override {
    sink_->sample(suffix, labels, value);
  }

 private:
  Sink* sink_ = nullptr;
  std::uint64_t pass_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> passes_;  // the last one that told the family
};

struct Pass {
  Sink& sink;
  const base::Clock& clock;
  std::int64_t deadline_ns;
  std::uint64_t number;                // counts passes
  const ToldFamilies* told = nullptr;  // where a part asks

  bool late() const { return clock.monotonic_ns() >= deadline_ns; }
};

class Part {
 public:
  virtual ~Part() = default;
  virtual std::string_view name() const = 0;
  virtual Outcome collect(const Pass& pass) = 0;
};

inline void begin_family(Sink& sink, const FamilyInfo& family) {
  sink.family(family.name, family.type, family.help);
}

// A family that begins with its first sample: one without is not told.
class LazyFamily {
 public:
  LazyFamily(Sink& sink, const FamilyInfo& family) : sink_(sink), family_(family) {}
  void sample(std::initializer_list<model::Label> labels, double value) {
    if (!std::exchange(begun_, true)) begin_family(sink_, family_);
    sink_.sample(labels, value);
  }

 private:
  Sink& sink_;
  const FamilyInfo& family_;
  bool begun_ = false;
};

// Families whose names come from what a file says ("node_memory_MemTotal_bytes"): built when a field is first seen in
// its place, found by place afterwards.
class NamedFields {
 public:
  struct Field {
    std::string key;
    std::string name;
    std::string help;
  };

  void begin() { next_ = 0; }
  // The field for `key`, which comes next in the file. `make` fills name and help of a new one.
  template <typename Make>
  const Field& next(std::string_view key, Make make) {
    if (next_ == fields_.size()) fields_.emplace_back();
    Field& field = fields_[next_++];
    if (field.key != key) {
      field.key = key;
      make(field);
    }
    return field;
  }

 private:
  std::vector<Field> fields_;
  std::size_t next_ = 0;
};

// Replaces what a metric name cannot hold by '_'.
void append_name_part(std::string& name, std::string_view text);

// Rows of a table that keep their strings from pass to pass.
template <typename Row>
class Rows {
 public:
  void clear() { used_ = 0; }
  Row& add() {
    if (used_ == rows_.size()) rows_.emplace_back();
    return rows_[used_++];
  }
  void drop_last() { --used_; }
  std::size_t size() const { return used_; }
  auto begin() { return rows_.begin(); }
  auto end() { return rows_.begin() + static_cast<std::ptrdiff_t>(used_); }

 private:
  std::vector<Row> rows_;
  std::size_t used_ = 0;
};

}  // namespace qd::observe::host
