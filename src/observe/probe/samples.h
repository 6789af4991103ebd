// What one probe found: a few dozen samples, which may be set and raised until they are told.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/collector.h"
#include "observe/family_info.h"

namespace qd::observe::probe {

// A value; not thread-safe while it is filled.
class Samples {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  // Label values that are not UTF-8 are made so. The family outlives this.
  void set(const FamilyInfo& family, double value, Labels labels = {});
  void add(const FamilyInfo& family, double value, Labels labels = {});
  std::optional<double> get(const FamilyInfo& family, const Labels& labels = {}) const;

  // In order of names.
  void tell(Sink& sink) const;

 private:
  struct Family {
    const FamilyInfo* info = nullptr;
    std::map<Labels, double> samples;
  };
  double& at(const FamilyInfo& family, Labels labels);

  std::map<std::string_view, Family> families_;
};

}  // namespace qd::observe::probe
