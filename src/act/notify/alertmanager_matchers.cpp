#include "act/notify/alertmanager_matchers.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "base/strings.h"

namespace qd::act::notify {

using base::ErrorCode;
using model::Matcher;

namespace {

// What stands in quotes, with \", \\ and \n; without quotes the text itself. Nothing where a quote is left over.
std::optional<std::string> unquoted(std::string_view text) {
  const bool quoted = text.starts_with('"');
  if (quoted) text.remove_prefix(1);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') return quoted && i + 1 == text.size() ? std::optional(out) : std::nullopt;
    if (c != '\\' || i + 1 == text.size()) {
      out.push_back(c);
      continue;
    }
    const char next = text[++i];
    if (next == 'n') {
      out.push_back('\n');
    } else {
      if (next != '"' && next != '\\') out.push_back('\\');
      out.push_back(next);
    }
  }
  if (quoted) return std::nullopt;
  return out;
}

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':'; };
  if (text.empty() || !letter(text.front())) return false;
  for (const char c : text) {
    if (!letter(c) && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

}  // namespace

base::Result<Matcher> matcher_of(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return base::fail(ErrorCode::kInvalid, fmt::format("{} is no matcher: {}", base::quote(text), why));
  };
  std::string_view rest = base::trim(text);
  std::size_t end = 0;
  // An operator within quotes is part of the name.
  bool quoted = false;
  bool escaped = false;
  for (; end < rest.size(); ++end) {
    if (!quoted && (rest[end] == '=' || rest[end] == '!')) break;
    if (rest[end] == '"' && !escaped) quoted = !quoted;
    escaped = rest[end] == '\\' && !escaped;
  }
  if (end == rest.size()) return wrong("write NAME=\"VALUE\", or with !=, =~ or !~");
  const std::string_view name_text = base::trim(rest.substr(0, end));
  std::optional<std::string> name = unquoted(name_text);
  if (!name || name->empty() || !base::valid_utf8(*name) || (!name_text.starts_with('"') && !is_name(name_text)))
    return wrong(fmt::format("{} is no label name", base::quote(name_text)));
  rest.remove_prefix(end);
  static constexpr std::pair<std::string_view, Matcher::Kind> kOperators[] = {{"=~", Matcher::Kind::kRegex},
                                                                              {"!~", Matcher::Kind::kNotRegex},
                                                                              {"!=", Matcher::Kind::kNotEqual},
                                                                              {"=", Matcher::Kind::kEqual}};
  for (const auto& [sign, kind] : kOperators) {
    if (!rest.starts_with(sign)) continue;
    rest.remove_prefix(sign.size());
    std::optional<std::string> value = unquoted(base::trim(rest));
    if (!value) return wrong("a quote that is not closed, or stands within the value without \\ before it");
    if (!base::valid_utf8(*value)) return wrong("its value is not UTF-8");
    return Matcher::create(kind, std::move(*name), std::move(*value));
  }
  return wrong("its operator is none of =, !=, =~ and !~");
}

base::Result<std::vector<Matcher>> matchers_of(std::string_view text) {
  std::vector<Matcher> matchers;
  text = base::trim(text);
  const bool open = text.starts_with('{');
  if (open != text.ends_with('}'))
    return base::fail(ErrorCode::kInvalid, fmt::format("{} has a brace that is alone", base::quote(text)));
  if (open) text = text.substr(1, text.size() - 2);
  bool quoted = false;
  bool escaped = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool last = i == text.size();
    if (last || (text[i] == ',' && !quoted)) {
      const std::string_view one = text.substr(begin, i - begin);
      begin = i + 1;
      if (last && base::trim(one).empty()) break;
      QD_ASSIGN(Matcher matcher, matcher_of(one));
      matchers.push_back(std::move(matcher));
      continue;
    }
    if (text[i] == '"' && !escaped) quoted = !quoted;
    escaped = text[i] == '\\' && !escaped;
  }
  return matchers;
}

}  // namespace qd::act::notify
