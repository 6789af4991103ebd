#include "model/labels.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"

namespace qd::model {

using base::ErrorCode;

namespace {

// The set's own bytes are well-formed: lengths are not checked again.
inline const char* read_length(const char* at, std::size_t& length) {
  auto byte = static_cast<unsigned char>(*at++);
  if (byte < 0x80) [[likely]] {
    length = byte;
    return at;
  }
  std::size_t value = byte & 0x7f;
  for (unsigned shift = 7;; shift += 7) {
    byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  length = value;
  return at;
}

void append_label(std::string& out, std::string_view name, std::string_view value) {
  base::ByteWriter writer(out);
  writer.text(name);
  writer.text(value);
}

// The encoding with its lengths as short as they can be: only then are equal sets equal bytes.
std::size_t varint_size(std::uint64_t value) {
  std::size_t n = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++n;
  }
  return n;
}

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace

void LabelSet::Iterator::read() {
  if (at_ == end_) {
    next_ = end_;
    return;
  }
  std::size_t length = 0;
  const char* at = read_length(at_, length);
  label_.name = {at, length};
  at = read_length(at + length, length);
  label_.value = {at, length};
  next_ = at + length;
}

LabelSet::LabelSet(std::initializer_list<Label> labels) : LabelSet(from(std::vector<Label>(labels))) {}

LabelSet LabelSet::from(std::vector<Label> labels) {
  const auto by_name = [](const Label& a, const Label& b) { return a.name < b.name; };
  if (!std::is_sorted(labels.begin(), labels.end(), by_name)) {
    // Stable, which std::sort is not: the position decides between equal names.
    std::vector<std::pair<Label, std::size_t>> ordered;
    ordered.reserve(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) ordered.emplace_back(labels[i], i);
    std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
      return a.first.name != b.first.name ? a.first.name < b.first.name : a.second < b.second;
    });
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = ordered[i].first;
  }
  std::size_t size = 0;
  for (const Label& label : labels) size += label.name.size() + label.value.size() + 4;
  LabelSet set;
  set.data_.reserve(size);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i + 1 < labels.size() && labels[i + 1].name == labels[i].name) continue;
    if (labels[i].value.empty()) continue;
    append_label(set.data_, labels[i].name, labels[i].value);
  }
  return set;
}

base::Result<LabelSet> LabelSet::from_bytes(std::string_view bytes) {
  base::ByteReader reader(base::as_bytes(bytes));
  std::string_view before;
  while (!reader.at_end()) {
    const std::size_t start = reader.position();
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    if (!reader.ok()) return base::fail(ErrorCode::kCorrupt, "label set: a length passes the end of its bytes");
    if (name.empty() || value.empty()) return base::fail(ErrorCode::kCorrupt, "label set: an empty name or value");
    if (reader.position() - start !=
        varint_size(name.size()) + name.size() + varint_size(value.size()) + value.size()) {
      return base::fail(ErrorCode::kCorrupt, "label set: a length that is longer than it has to be");
    }
    if (start != 0 && name <= before) return base::fail(ErrorCode::kCorrupt, "label set: names are not in order");
    before = name;
  }
  LabelSet set;
  set.data_ = bytes;
  return set;
}

std::size_t LabelSet::count() const {
  return static_cast<std::size_t>(std::distance(begin(), end()));
}

std::string_view LabelSet::get(std::string_view name) const {
  const char* at = data_.data();
  const char* const end = at + data_.size();
  while (at != end) {
    std::size_t length = 0;
    at = read_length(at, length);
    const std::string_view candidate(at, length);
    at = read_length(at + length, length);
    if (candidate == name) return {at, length};
    at += length;
  }
  return {};
}

std::uint64_t LabelSet::hash() const {
  return XXH3_64bits(data_.data(), data_.size());
}

std::strong_ordering LabelSet::operator<=>(const LabelSet& other) const {
  auto a = begin();
  auto b = other.begin();
  for (; a != end() && b != other.end(); ++a, ++b) {
    if (const auto order = *a <=> *b; order != 0) return order;
  }
  if (a != end()) return std::strong_ordering::greater;
  if (b != other.end()) return std::strong_ordering::less;
  return std::strong_ordering::equal;
}

std::string LabelSet::to_string() const {
  std::string out;
  const std::string_view metric = name();
  const bool plain = valid_metric_name(metric);
  if (plain) out = metric;
  bool first = true;
  for (const Label& label : *this) {
    if (label.name == kMetricName && plain) continue;
    out.append(first ? "{" : ", ");
    first = false;
    if (label.name == kMetricName) {
      append_quoted(out, label.value);
      continue;
    }
    if (valid_label_name(label.name)) {
      out.append(label.name);
    } else {
      append_quoted(out, label.name);
    }
    out.push_back('=');
    append_quoted(out, label.value);
  }
  if (!first) {
    out.push_back('}');
  } else if (!plain) {
    out = "{}";
  }
  return out;
}

void LabelBuilder::reset(const LabelSet& from) {
  std::size_t n = 0;
  for (const Label& label : from) {
    if (n == labels_.size()) labels_.emplace_back();
    labels_[n].first.assign(label.name);
    labels_[n].second.assign(label.value);
    ++n;
  }
  labels_.resize(n);
}

void LabelBuilder::set(std::string_view name, std::string_view value) {
  const auto at = std::lower_bound(labels_.begin(), labels_.end(), name,
                                   [](const auto& label, std::string_view wanted) { return label.first < wanted; });
  const bool found = at != labels_.end() && at->first == name;
  if (value.empty()) {
    if (found) labels_.erase(at);
  } else if (found) {
    at->second.assign(value);
  } else {
    labels_.emplace(at, name, value);
  }
}

std::string_view LabelBuilder::get(std::string_view name) const {
  const auto at = std::lower_bound(labels_.begin(), labels_.end(), name,
                                   [](const auto& label, std::string_view wanted) { return label.first < wanted; });
  return at != labels_.end() && at->first == name ? std::string_view(at->second) : std::string_view();
}

LabelSet LabelBuilder::build() const {
  LabelSet set;
  std::size_t size = 0;
  for (const auto& [name, value] : labels_) size += name.size() + value.size() + 4;
  set.data_.reserve(size);
  for (const auto& [name, value] : labels_) append_label(set.data_, name, value);
  return set;
}

bool valid_label_name(std::string_view name) {
  return !name.empty() && is_name_start(name.front()) &&
         std::ranges::all_of(name, [](char c) { return is_name_start(c) || is_digit(c); });
}

bool valid_metric_name(std::string_view name) {
  return !name.empty() && (is_name_start(name.front()) || name.front() == ':') &&
         std::ranges::all_of(name, [](char c) { return is_name_start(c) || is_digit(c) || c == ':'; });
}

}  // namespace qd::model
