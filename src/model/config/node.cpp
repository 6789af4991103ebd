#include "model/config/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/assert.h"
#include "base/strings.h"

namespace qd::model::config {

using base::ErrorCode;
using base::Result;

std::string Location::to_string() const {
  if (file == nullptr) return "";
  if (line == 0) return *file;
  return fmt::format("{}:{}:{}", *file, line, column);
}

struct Node::Data {
  Kind kind = Kind::kNull;
  Style style = Style::kPlain;
  Location location;
  std::string text;
  std::vector<Node> items;
  std::vector<Entry> entries;
  std::size_t weight = 1;
  std::size_t depth = 1;
};

Node::Node() {
  static const auto nothing = std::make_shared<const Data>();
  data_ = nothing;
}

Node Node::null(Location location) {
  auto data = std::make_shared<Data>();
  data->location = std::move(location);
  return Node(std::move(data));
}

Node Node::scalar(std::string text, Style style, Location location) {
  auto data = std::make_shared<Data>();
  data->kind = Kind::kScalar;
  data->style = style;
  data->text = std::move(text);
  data->location = std::move(location);
  return Node(std::move(data));
}

Node Node::sequence(std::vector<Node> items, Location location) {
  auto data = std::make_shared<Data>();
  data->kind = Kind::kSequence;
  data->location = std::move(location);
  for (const Node& item : items) {
    data->weight += item.weight();
    data->depth = std::max(data->depth, item.depth() + 1);
  }
  data->items = std::move(items);
  return Node(std::move(data));
}

Node Node::mapping(std::vector<Entry> entries, Location location) {
  auto data = std::make_shared<Data>();
  data->kind = Kind::kMapping;
  data->location = std::move(location);
  for (const Entry& entry : entries) {
    QD_ASSERT(entry.key.is_scalar());
    data->weight += 1 + entry.value.weight();
    data->depth = std::max(data->depth, entry.value.depth() + 1);
  }
  data->entries = std::move(entries);
  return Node(std::move(data));
}

Node::Kind Node::kind() const {
  return data_->kind;
}
const std::string& Node::text() const {
  return data_->text;
}
Node::Style Node::style() const {
  return data_->style;
}
std::span<const Node> Node::items() const {
  return data_->items;
}
std::span<const Node::Entry> Node::entries() const {
  return data_->entries;
}
std::size_t Node::weight() const {
  return data_->weight;
}
std::size_t Node::depth() const {
  return data_->depth;
}
const Location& Node::location() const {
  return data_->location;
}

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : data_->entries)
    if (entry.key.text() == key) return &entry.value;
  return nullptr;
}

base::Error Node::error(std::string_view what) const {
  const std::string where = location().to_string();
  return {ErrorCode::kInvalid, where.empty() ? std::string(what) : fmt::format("{}: {}", where, what)};
}

std::string describe(const Node& node) {
  switch (node.kind()) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kSequence:
      return "a list";
    case Node::Kind::kMapping:
      return "a mapping";
    case Node::Kind::kScalar:
      break;
  }
  constexpr std::size_t kShownBytesMax = 64;
  if (node.text().size() <= kShownBytesMax) return fmt::format("\"{}\"", node.text());
  std::size_t cut = kShownBytesMax;
  while (cut > 0 && (static_cast<unsigned char>(node.text()[cut]) & 0xc0) == 0x80) --cut;
  return fmt::format("\"{}...\"", std::string_view(node.text()).substr(0, cut));
}

Result<std::string_view> Node::scalar_text(std::string_view expected) const {
  if (is_scalar()) return std::string_view(text());
  return base::fail(error(fmt::format("expected {}, found {}", expected, describe(*this))));
}

Result<std::string> Node::as_string() const {
  QD_ASSIGN(const std::string_view found, scalar_text("a text"));
  return std::string(found);
}

Result<bool> Node::as_bool() const {
  constexpr std::string_view kExpected = "true or false";
  QD_ASSIGN(const std::string_view found, scalar_text(kExpected));
  if (style() == Style::kPlain) {
    for (const auto& [yes, no] : {std::pair<std::string_view, std::string_view>{"true", "false"},
                                  {"True", "False"},
                                  {"TRUE", "FALSE"},
                                  {"yes", "no"},
                                  {"Yes", "No"},
                                  {"YES", "NO"},
                                  {"on", "off"},
                                  {"On", "Off"},
                                  {"ON", "OFF"}}) {
      if (found == yes) return true;
      if (found == no) return false;
    }
  } else {
    return base::fail(
        error(fmt::format("expected {}, found the text {}; remove the quotes", kExpected, describe(*this))));
  }
  return base::fail(error(fmt::format("expected {}, found {}", kExpected, describe(*this))));
}

Result<std::int64_t> Node::as_int() const {
  constexpr std::string_view kExpected = "an integer such as 10";
  QD_ASSIGN(const std::string_view found, scalar_text(kExpected));
  if (style() == Style::kQuoted)
    return base::fail(
        error(fmt::format("expected {}, found the text {}; remove the quotes", kExpected, describe(*this))));
  std::string_view digits = found;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  int radix = 10;
  if (digits.starts_with("0x")) radix = 16;
  if (digits.starts_with("0o")) radix = 8;
  if (radix != 10) digits.remove_prefix(2);
  std::int64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, failure] = std::from_chars(digits.data(), end, value, radix);
  const bool signs_fit = digits.starts_with('-') ? radix == 10 && !found.starts_with('+') : true;
  if (failure == std::errc::result_out_of_range && at == end) {
    return base::fail(error(fmt::format("{} is out of the range of an integer of 64 bits", describe(*this))));
  }
  if (failure != std::errc() || at != end || !signs_fit)
    return base::fail(error(fmt::format("expected {}, found {}", kExpected, describe(*this))));
  return value;
}

Result<double> Node::as_double() const {
  constexpr std::string_view kExpected = "a number such as 0.5";
  QD_ASSIGN(std::string_view found, scalar_text(kExpected));
  if (style() == Style::kQuoted)
    return base::fail(
        error(fmt::format("expected {}, found the text {}; remove the quotes", kExpected, describe(*this))));
  // YAML writes infinity and not-a-number with a point in front.
  std::string without_point;
  for (const std::string_view word : {".inf", "+.inf", "-.inf", ".nan"}) {
    std::string lower(found);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (lower == word) {
      lower.erase(lower.find('.'), 1);
      without_point = lower;
      found = without_point;
      break;
    }
  }
  if (const auto value = base::parse_float(found)) return *value;
  return base::fail(error(fmt::format("expected {}, found {}", kExpected, describe(*this))));
}

Result<std::int64_t> Node::as_duration_ms() const {
  QD_ASSIGN(const std::string_view found, scalar_text("a duration such as 15s or 1h30m"));
  const auto value = base::parse_duration_ms(found);
  if (!value) return base::fail(error(value.error().message()));
  return *value;
}

Result<std::uint64_t> Node::as_bytes() const {
  QD_ASSIGN(const std::string_view found, scalar_text("a size such as 512MB"));
  const auto value = base::parse_bytes(found);
  if (!value) return base::fail(error(value.error().message()));
  return *value;
}

}  // namespace qd::model::config
