// A regular expression of a modules file, in RE2's syntax as Go has it: it may match anywhere in a text.
//
// An immutable value; copies share what was compiled. Any thread may use it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace qd::observe::probe {

class Pattern {
 public:
  static constexpr std::size_t kBytesMax = 16 << 10;

  Pattern() = default;
  // kInvalid says what is wrong with it.
  static base::Result<Pattern> compile(std::string text);

  bool is_empty() const { return !compiled_; }
  const std::string& text() const { return text_; }
  bool matches(std::string_view subject) const;
  // What the whole and each group took, in views of `subject`; nothing when it does not match.
  std::optional<std::vector<std::string_view>> groups(std::string_view subject) const;
  // `text` with $1, ${1}, $name, ${name} and $$ replaced, as Go's Regexp.Expand does: the longest run of letters,
  // digits and _ is the name, and one that is no group is empty.
  std::string expand(std::string_view text, const std::vector<std::string_view>& groups) const;

  bool operator==(const Pattern& other) const { return text_ == other.text_; }

 private:
  std::string text_;
  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace qd::observe::probe
