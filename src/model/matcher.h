// A condition on one label: =, !=, =~, !~ as PromQL has them.
//
// Regular expressions are RE2, anchored at both ends, and '.' matches a newline, as in Prometheus. A pattern that is a
// literal, a prefix, a suffix, a substring or a short alternation of literals is tested without an automaton. Immutable
// and thread-safe; copies share the compiled pattern.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"

namespace qd::model {

class Matcher {
 public:
  enum class Kind { kEqual, kNotEqual, kRegex, kNotRegex };

  // kInvalid, naming the pattern and what is wrong in it.
  static base::Result<Matcher> create(Kind kind, std::string name, std::string value);
  static Matcher equal(std::string name, std::string value);

  Kind kind() const { return kind_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }

  // Whether a label of this value satisfies it; an absent label has the value "".
  bool matches(std::string_view value) const;
  bool matches(const LabelSet& labels) const { return matches(labels.get(name_)); }
  bool matches_empty() const { return matches_empty_; }

  // When the only values that a positive matcher accepts are these (an equality, a=~"b|c"): what the index looks up
  // directly. Empty when the set is not known to be finite.
  std::span<const std::string> literal_values() const;
  // For =~ with a literal beginning: values that match start with this.
  std::string_view literal_prefix() const;

  // job=~"a|b" with the value quoted.
  std::string to_string() const;

 private:
  struct Pattern;
  Matcher(Kind kind, std::string name, std::string value);
  Kind kind_;
  std::string name_;
  std::string value_;
  std::shared_ptr<const Pattern> pattern_;
  bool matches_empty_ = false;
};

bool matches_all(std::span<const Matcher> matchers, const LabelSet& labels);

}  // namespace qd::model
