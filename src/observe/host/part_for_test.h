// One part alone, pass by pass, for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/strings.h"
#include "observe/host/part.h"
#include "observe/recording_sink.h"

namespace qd::observe::host {

// A manual clock on which each look takes time, so that all work does.
class SlowClock final : public base::Clock {
 public:
  explicit SlowClock(std::int64_t look_ns = 0) : look_ns_(look_ns) {}
  std::int64_t wall_ms() const override { return 1'700'000'000'000 + now_ns_ / 1'000'000; }
  std::int64_t monotonic_ns() const override { return now_ns_ += look_ns_; }
  void advance_ms(std::int64_t ms) { now_ns_ += ms * 1'000'000; }

 private:
  const std::int64_t look_ns_;
  mutable std::int64_t now_ns_ = 0;
};

struct Told {
  RecordingSink sink;
  Outcome outcome;

  std::optional<double> value(const std::string& key) const { return sink.value(key); }
};

// A pass that may take `patience_ms`; five seconds later by the clock it has ended.
template <typename Clock>
Told pass_of(Part& part, Clock& clock, std::int64_t patience_ms = 5000) {
  static std::uint64_t number = 0;
  Told told;
  const Pass pass{told.sink, clock, clock.monotonic_ns() + patience_ms * 1'000'000, ++number};
  told.outcome = part.collect(pass);
  clock.advance_ms(5000);
  return told;
}

// Every family that was told stands in the part's table, or under its star, with exactly the labels that samples have.
inline void expect_in_table(const RecordingSink& told, std::span<const FamilyInfo> table) {
  for (const auto& [key, value] : told.values()) {
    const std::string name = key.substr(0, key.find('{'));
    auto row = std::find_if(table.begin(), table.end(), [&](const FamilyInfo& info) { return info.name == name; });
    if (row == table.end()) {
      row = std::find_if(table.begin(), table.end(), [&](const FamilyInfo& info) {
        return info.name.ends_with('*') && name.starts_with(info.name.substr(0, info.name.size() - 1));
      });
    }
    ASSERT_NE(row, table.end()) << key;
    EXPECT_EQ(told.types().at(name), row->type) << name;
    std::set<std::string> labels;
    for (std::size_t at = 0; (at = key.find("=\"", at)) != std::string::npos; ++at) {
      const auto from = key.find_last_of("{,", at) + 1;
      labels.insert(key.substr(from, at - from));
    }
    std::set<std::string> expected;
    for (const auto label : base::split(row->labels, ',')) {
      if (!label.empty()) expected.emplace(label);
    }
    EXPECT_EQ(labels, expected) << name;
  }
}

}  // namespace qd::observe::host
