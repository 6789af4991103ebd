// A sink for tests: remembers every sample by name and labels, and what was told wrongly.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "observe/collector.h"

namespace qd::observe {

class RecordingSink final : public Sink {
 public:
  void family(std::string_view name, model::MetricType type, std::string_view help) override {
    family_ = name;
    if (!types_.emplace(name, type).second) faults_.push_back("family told twice: " + family_);
    helps_.emplace(name, help);
    if (help.empty()) faults_.push_back("no help: " + family_);
  }
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const model::Label> labels, double value) override {
    std::map<std::string, std::string> sorted;
    for (const auto& label : labels) sorted.emplace(label.name, label.value);
    std::string key = family_ + std::string(suffix);
    char before = '{';
    for (const auto& [name, text] : sorted) {
      key += before + name + "=\"" + text + "\"";
      before = ',';
    }
    if (before == ',') key += '}';
    if (!values_.emplace(key, value).second) faults_.push_back("sample told twice: " + key);
  }

  // By `name{label="value",…}` with labels in order of their names and nothing escaped.
  const std::map<std::string, double>& values() const { return values_; }
  std::optional<double> value(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }
  const std::map<std::string, model::MetricType, std::less<>>& types() const { return types_; }
  const std::map<std::string, std::string, std::less<>>& helps() const { return helps_; }
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  std::string family_;
  std::map<std::string, double> values_;
  std::map<std::string, model::MetricType, std::less<>> types_;
  std::map<std::string, std::string, std::less<>> helps_;
  std::vector<std::string> faults_;
};

}  // namespace qd::observe
