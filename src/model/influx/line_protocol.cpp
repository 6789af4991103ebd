#include "model/influx/line_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/strings.h"

namespace qd::model::influx {

namespace {

using base::ErrorCode;

constexpr std::int64_t kNsAMs = 1'000'000;

// One line, read from its front.
class Reader {
 public:
  explicit Reader(std::string_view line) : line_(line) {}

  bool at_end() const { return at_ == line_.size(); }
  char peek() const { return at_end() ? '\0' : line_[at_]; }
  bool take(char c) {
    if (at_end() || line_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_spaces() {
    while (take(' ')) {
    }
  }

  // Up to one of `ends`, which stays. A backslash before one of `escapable` is taken off.
  std::string word(std::string_view ends, std::string_view escapable) {
    std::string out;
    while (!at_end() && ends.find(line_[at_]) == std::string_view::npos) {
      if (line_[at_] == '\\' && at_ + 1 < line_.size() && escapable.find(line_[at_ + 1]) != std::string_view::npos)
        ++at_;
      out += line_[at_++];
    }
    return out;
  }

  // What stands in quotes, behind the first. False when it has no end.
  bool quoted(std::string& out) {
    while (!at_end() && line_[at_] != '"') {
      if (line_[at_] == '\\' && at_ + 1 < line_.size() && (line_[at_ + 1] == '"' || line_[at_ + 1] == '\\')) ++at_;
      out += line_[at_++];
    }
    return take('"');
  }

  base::Error wrong(std::string_view what) const {
    return {ErrorCode::kInvalid, fmt::format("column {}: {}", at_ + 1, what)};
  }

 private:
  std::string_view line_;
  std::size_t at_ = 0;
};

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const bool integer = text.ends_with('i') || text.ends_with('u');
  if (!integer) {
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    // InfluxDB takes neither NaN nor infinities.
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
  }
  const bool is_unsigned = text.back() == 'u';
  text.remove_suffix(1);
  const auto whole = [&](auto integer_value) -> std::optional<double> {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer_value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return static_cast<double>(integer_value);
  };
  return is_unsigned ? whole(std::uint64_t{0}) : whole(std::int64_t{0});
}

std::optional<bool> flag_of(std::string_view text) {
  for (const std::string_view yes : {"t", "T", "true", "True", "TRUE"})
    if (text == yes) return true;
  for (const std::string_view no : {"f", "F", "false", "False", "FALSE"})
    if (text == no) return false;
  return std::nullopt;
}

base::Status read_tags(Reader& reader, Line& line) {
  while (reader.take(',')) {
    std::string name = reader.word(",= ", ",= ");
    if (name.empty()) return base::fail(reader.wrong("a tag has no name"));
    if (!reader.take('=')) return base::fail(reader.wrong("a tag has no value: '=' was expected"));
    std::string value = reader.word(",= ", ",= ");
    if (reader.peek() == '=') return base::fail(reader.wrong("a tag's value has an '=' that is not escaped"));
    if (line.tags.size() == kTagsMax) return base::fail(reader.wrong(fmt::format("more than {} tags", kTagsMax)));
    line.tags.emplace_back(std::move(name), std::move(value));
  }
  return {};
}

base::Status read_field(Reader& reader, Line& line) {
  std::string name = reader.word(",= ", ",= ");
  if (name.empty()) return base::fail(reader.wrong("a field has no name"));
  if (!reader.take('=')) return base::fail(reader.wrong("a field has no value: '=' was expected"));
  if (line.fields.size() + line.texts == kFieldsMax)
    return base::fail(reader.wrong(fmt::format("more than {} fields", kFieldsMax)));
  if (reader.take('"')) {
    std::string text;
    if (!reader.quoted(text)) return base::fail(reader.wrong("a text has no end: '\"' was expected"));
    if (const auto number = number_of(text)) {
      line.fields.emplace_back(std::move(name), *number);
    } else {
      ++line.texts;
    }
    return {};
  }
  const std::string text = reader.word(", ", "");
  if (const auto flag = flag_of(text)) {
    line.fields.emplace_back(std::move(name), *flag ? 1.0 : 0.0);
    return {};
  }
  const auto number = number_of(text);
  if (!number)
    return base::fail(
        reader.wrong(fmt::format("{} is no number, flag or text in quotes", base::quote(text.substr(0, 100)))));
  line.fields.emplace_back(std::move(name), *number);
  return {};
}

}  // namespace

std::optional<std::int64_t> precision_ns(std::string_view name) {
  if (name == "ns" || name == "n") return 1;
  if (name == "us" || name == "u" || name == "µ") return 1'000;
  if (name == "ms") return kNsAMs;
  if (name == "s") return 1'000 * kNsAMs;
  if (name == "m") return 60'000 * kNsAMs;
  if (name == "h") return 3'600'000 * kNsAMs;
  return std::nullopt;
}

std::optional<std::int64_t> to_ms(std::int64_t time, std::int64_t unit_ns) {
  if (unit_ns < kNsAMs) {
    const std::int64_t in_ms = kNsAMs / unit_ns;
    // Down, also before the epoch.
    return time / in_ms - (time % in_ms < 0 ? 1 : 0);
  }
  const std::int64_t factor = unit_ns / kNsAMs;
  if (time > std::numeric_limits<std::int64_t>::max() / factor ||
      time < std::numeric_limits<std::int64_t>::min() / factor)
    return std::nullopt;
  return time * factor;
}

std::string_view next_line(std::string_view& text) {
  bool quoted = false;
  std::size_t at = std::min(text.size(), text.find_first_not_of(' '));
  const bool comment = at < text.size() && text[at] == '#';
  // Before them, in a tag, a quote is a letter as others are.
  bool fields = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n' && !quoted) break;
    if (comment) continue;
    if (c == '\\' && at + 1 < text.size()) {
      ++at;
    } else if (c == ' ') {
      fields = true;
    } else if (c == '"' && (quoted || (fields && text[at - 1] == '='))) {
      quoted = !quoted;
    }
  }
  // A text that has no end costs its own line, not all that follow.
  if (quoted) at = std::min(text.size(), text.find('\n'));
  std::string_view line = text.substr(0, at);
  text.remove_prefix(std::min(text.size(), at + 1));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

base::Result<std::optional<Line>> parse_line(std::string_view text) {
  Reader reader(text);
  reader.skip_spaces();
  if (reader.at_end() || reader.peek() == '#') return std::nullopt;
  Line line;
  line.measurement = reader.word(", ", ", ");
  if (line.measurement.empty()) return base::fail(reader.wrong("there is no measurement"));
  QD_TRY(read_tags(reader, line));
  if (!reader.take(' ')) return base::fail(reader.wrong("there are no fields: a space was expected"));
  reader.skip_spaces();
  if (reader.at_end()) return base::fail(reader.wrong("there are no fields"));
  do {
    QD_TRY(read_field(reader, line));
  } while (reader.take(','));
  if (!reader.at_end() && reader.peek() != ' ')
    return base::fail(reader.wrong("what stands behind a field is neither ',' nor a space"));
  reader.skip_spaces();
  if (reader.at_end()) return line;
  const std::string time = reader.word(" ", "");
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), number);
  if (error != std::errc() || end != time.data() + time.size())
    return base::fail(reader.wrong(fmt::format("{} is no time", base::quote(std::string_view(time).substr(0, 100)))));
  line.time = number;
  reader.skip_spaces();
  if (!reader.at_end()) return base::fail(reader.wrong("something stands behind the time"));
  return line;
}

}  // namespace qd::model::influx
