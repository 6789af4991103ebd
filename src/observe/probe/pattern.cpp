#include "observe/probe/pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace qd::observe::probe {

base::Result<Pattern> Pattern::compile(std::string text) {
  if (text.size() > kBytesMax) {
    return base::fail(base::ErrorCode::kInvalid, fmt::format("a regular expression of more than {} bytes", kBytesMax));
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto compiled = std::make_shared<const re2::RE2>(text, options);
  if (!compiled->ok()) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("{:?} is no regular expression: {}", text, compiled->error()));
  }
  Pattern pattern;
  pattern.text_ = std::move(text);
  pattern.compiled_ = std::move(compiled);
  return pattern;
}

bool Pattern::matches(std::string_view subject) const {
  return compiled_ && re2::RE2::PartialMatch(re2::StringPiece(subject.data(), subject.size()), *compiled_);
}

std::optional<std::vector<std::string_view>> Pattern::groups(std::string_view subject) const {
  if (!compiled_) return std::nullopt;
  const re2::StringPiece text(subject.data(), subject.size());
  std::vector<re2::StringPiece> pieces(static_cast<std::size_t>(compiled_->NumberOfCapturingGroups()) + 1);
  if (!compiled_->Match(text, 0, text.size(), re2::RE2::UNANCHORED, pieces.data(), static_cast<int>(pieces.size())))
    return std::nullopt;
  std::vector<std::string_view> groups;
  groups.reserve(pieces.size());
  for (const auto& piece : pieces) groups.emplace_back(piece.data(), piece.size());
  return groups;
}

std::string Pattern::expand(std::string_view text, const std::vector<std::string_view>& groups) const {
  const auto in_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  const auto value = [&](std::string_view name) -> std::string_view {
    std::size_t number = groups.size();
    if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      std::from_chars(name.data(), name.data() + name.size(), number);
    } else if (compiled_) {
      const auto& names = compiled_->NamedCapturingGroups();
      const auto found = names.find(std::string(name));
      if (found != names.end()) number = static_cast<std::size_t>(found->second);
    }
    return number < groups.size() ? groups[number] : std::string_view();
  };
  std::string out;
  for (;;) {
    const auto dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return out;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      out += '$';
      text.remove_prefix(1);
      continue;
    }
    const bool braced = text.starts_with('{');
    const std::string_view from = text.substr(braced ? 1 : 0);
    std::size_t length = 0;
    while (length < from.size() && in_name(from[length])) ++length;
    if (length == 0 || (braced && (length == from.size() || from[length] != '}'))) {
      // No name: the dollar stands for itself.
      out += '$';
      continue;
    }
    out += value(from.substr(0, length));
    text = from.substr(length + (braced ? 1 : 0));
  }
}

}  // namespace qd::observe::probe
