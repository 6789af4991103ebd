// A series' identity: label names and values, sorted by name, each name once.
//
// One string holds them all (name and value with their lengths in front), so that a set is one allocation, compares and
// hashes as bytes, and lives in logs and files as it is. A label with an empty value is the same as no label and is
// never stored. Immutable values; copies are independent.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace qd::model {

inline constexpr std::string_view kMetricName = "__name__";

struct Label {
  std::string_view name;
  std::string_view value;
  auto operator<=>(const Label&) const = default;
};

class LabelSet {
 public:
  class Iterator {
   public:
    using value_type = Label;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(const char* at, const char* end) : at_(at), end_(end) { read(); }
    const Label& operator*() const { return label_; }
    const Label* operator->() const { return &label_; }
    Iterator& operator++() {
      at_ = next_;
      read();
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    void read();
    const char* at_ = nullptr;
    const char* next_ = nullptr;
    const char* end_ = nullptr;
    Label label_;
  };

  LabelSet() = default;
  // In any order; a later label of the same name wins.
  LabelSet(std::initializer_list<Label> labels);
  static LabelSet from(std::vector<Label> labels);
  // What bytes() gave, checked: kCorrupt unless it is well-formed and sorted.
  static base::Result<LabelSet> from_bytes(std::string_view bytes);

  Iterator begin() const { return Iterator(data_.data(), data_.data() + data_.size()); }
  Iterator end() const { return Iterator(data_.data() + data_.size(), data_.data() + data_.size()); }
  bool empty() const { return data_.empty(); }
  std::size_t count() const;

  // Empty when there is none: the same thing.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const { return !get(name).empty(); }
  std::string_view name() const { return get(kMetricName); }

  // Each label as varint length and bytes of the name, varint length and bytes of the value, in order of names.
  std::string_view bytes() const { return data_; }
  std::uint64_t hash() const;

  bool operator==(const LabelSet& other) const { return data_ == other.data_; }
  // Label by label, name before value, as Prometheus orders series.
  std::strong_ordering operator<=>(const LabelSet& other) const;

  // {__name__="up", job="node"} is `up{job="node"}`.
  std::string to_string() const;

 private:
  friend class LabelBuilder;
  std::string data_;
};

// Changes a set label by label. Keeps its buffers between uses.
class LabelBuilder {
 public:
  LabelBuilder() = default;
  explicit LabelBuilder(const LabelSet& from) { reset(from); }
  void reset(const LabelSet& from);
  void clear() { labels_.clear(); }
  // An empty value removes.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name) { set(name, {}); }
  std::string_view get(std::string_view name) const;
  LabelSet build() const;

 private:
  std::vector<std::pair<std::string, std::string>> labels_;  // sorted by name
};

// [a-zA-Z_][a-zA-Z0-9_]* and the same with ':' inside for metric names (Prometheus data model).
bool valid_label_name(std::string_view name);
bool valid_metric_name(std::string_view name);

}  // namespace qd::model

template <>
struct std::hash<qd::model::LabelSet> {
  std::size_t operator()(const qd::model::LabelSet& labels) const { return labels.hash(); }
};
