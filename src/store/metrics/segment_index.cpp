#include "store/metrics/segment_index.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <tuple>
#include <utility>

namespace qd::store::metrics {
namespace {

// Reading one record costs as much as decoding so many numbers of a list.
constexpr std::size_t kRecordCost = 16;

std::uint32_t u32_at(std::span<const std::byte> bytes, std::size_t index) {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + index * sizeof(value), sizeof(value));
  return value;
}

}  // namespace

// One matcher, seen as a set of pairs: series must have one of them, or (`exclude`) must have none.
struct SegmentIndex::Condition {
  Condition(const model::Matcher& its_matcher, PairRange its_range)
      : matcher(&its_matcher), range(its_range), exclude(its_matcher.matches_empty()) {}

  const model::Matcher* matcher;
  PairRange range;  // pairs of the matcher's name that come into question
  bool exclude;
  bool resolved = false;             // `pairs` are known
  std::vector<std::uint32_t> pairs;  // rising
  std::uint64_t series = 0;          // of all pairs
};

SegmentIndex::SegmentIndex(std::span<const std::byte> file, const SegmentFooter& footer, std::string path)
    : file_(file), footer_(footer), path_(std::move(path)) {}

std::unexpected<base::Error> SegmentIndex::damaged(Section section, std::string_view what) const {
  return segment_damage(path_, footer_[section].offset, fmt::format("{} ({} section)", what, to_string(section)));
}

std::span<const std::byte> SegmentIndex::section(Section section) const {
  return file_.subspan(footer_[section].offset, footer_[section].bytes);
}

std::string_view SegmentIndex::symbol(std::uint32_t number) const {
  if (number >= footer_.symbols) return {};
  const auto offsets = section(Section::kSymbolOffsets);
  const std::uint32_t begin = u32_at(offsets, number);
  const std::uint32_t end = u32_at(offsets, number + std::size_t{1});
  if (begin > end || end > footer_[Section::kSymbols].bytes) return {};
  return base::as_text(section(Section::kSymbols).subspan(begin, end - begin));
}

std::string_view SegmentIndex::name_of(std::uint32_t entry) const {
  return symbol(u32_at(section(Section::kNames), entry * std::size_t{2}));
}

SegmentIndex::Pair SegmentIndex::pair(std::uint32_t number) const {
  if (number >= footer_.pairs) return {};
  const auto entry = section(Section::kPairs).subspan(number * kPairEntryBytes, kPairEntryBytes);
  const std::uint32_t count = u32_at(entry, 2);
  return {.number = number,
          .name = u32_at(entry, 0),
          .value = u32_at(entry, 1),
          .count = count & ~kRunFlag,
          .run = (count & kRunFlag) != 0,
          .where = u32_at(entry, 3)};
}

SegmentIndex::PairRange SegmentIndex::pairs_of(std::string_view name) const {
  std::uint32_t low = 0;
  std::uint32_t high = footer_.names;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (name_of(middle) < name) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == footer_.names || name_of(low) != name) return {};
  const auto names = section(Section::kNames);
  const std::uint32_t first = u32_at(names, low * std::size_t{2} + 1);
  const std::uint32_t end = low + 1 == footer_.names ? footer_.pairs : u32_at(names, low * std::size_t{2} + 3);
  if (first > end || end > footer_.pairs) return {};
  return {first, end};
}

std::uint32_t SegmentIndex::lower_bound(PairRange range, std::string_view value) const {
  while (range.first < range.end) {
    const std::uint32_t middle = range.first + range.size() / 2;
    if (value_of(middle) < value) {
      range.first = middle + 1;
    } else {
      range.end = middle;
    }
  }
  return range.first;
}

base::ByteReader SegmentIndex::record(std::uint32_t id) const {
  if (id >= footer_.info.series) return base::ByteReader({});
  const auto offsets = section(Section::kSeriesOffsets);
  const std::uint32_t begin = u32_at(offsets, id);
  const std::uint32_t end = u32_at(offsets, id + std::size_t{1});
  if (begin > end || end > footer_[Section::kSeries].bytes) return base::ByteReader({});
  return base::ByteReader(section(Section::kSeries).subspan(begin, end - begin));
}

std::optional<std::uint32_t> SegmentIndex::pair_of(std::uint32_t id, PairRange range) const {
  base::ByteReader in = record(id);
  in.varint();
  in.varint();
  std::uint64_t number = 0;
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    number += in.varint();
    if (number >= range.end) break;
    if (number >= range.first && in.ok()) return static_cast<std::uint32_t>(number);
  }
  return std::nullopt;
}

base::Result<SegmentIndex::Series> SegmentIndex::series(std::uint32_t id) const {
  base::ByteReader in = record(id);
  const std::uint64_t after_min = in.varint();
  const std::uint64_t before_max = in.varint();
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) in.varint();
  const auto min_ms = static_cast<std::int64_t>(static_cast<std::uint64_t>(footer_.info.min_ms) + after_min);
  const auto max_ms = static_cast<std::int64_t>(static_cast<std::uint64_t>(footer_.info.max_ms) - before_max);
  if (!in.ok() || min_ms < footer_.info.min_ms || max_ms > footer_.info.max_ms || min_ms > max_ms) {
    return damaged(Section::kSeries, fmt::format("the record of series {} does not read as one", id));
  }
  return Series{.min_ms = min_ms, .max_ms = max_ms, .blocks = in};
}

model::LabelSet SegmentIndex::labels(std::uint32_t id) const {
  base::ByteReader in = record(id);
  in.varint();
  in.varint();
  std::string bytes;
  base::ByteWriter writer(bytes);
  std::uint64_t number = 0;
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    number += in.varint();
    if (!in.ok() || number >= footer_.pairs) return {};
    const Pair its = pair(static_cast<std::uint32_t>(number));
    writer.text(symbol(its.name));
    writer.text(symbol(its.value));
  }
  auto labels = model::LabelSet::from_bytes(bytes);
  return labels ? *std::move(labels) : model::LabelSet();
}

std::string_view SegmentIndex::label(std::uint32_t id, std::string_view name) const {
  const auto number = pair_of(id, pairs_of(name));
  return number ? value_of(*number) : std::string_view();
}

std::vector<std::string_view> SegmentIndex::label_names() const {
  std::vector<std::string_view> names(footer_.names);
  for (std::uint32_t i = 0; i < footer_.names; ++i) names[i] = name_of(i);
  return names;
}

std::vector<std::string_view> SegmentIndex::label_values(std::string_view name) const {
  const PairRange range = pairs_of(name);
  std::vector<std::string_view> values;
  values.reserve(range.size());
  for (std::uint32_t number = range.first; number < range.end; ++number) values.push_back(value_of(number));
  return values;
}

base::Status SegmentIndex::add_postings(const Pair& pair, Postings& out) const {
  if (pair.run) {
    if (pair.where > footer_.info.series || pair.count > footer_.info.series - pair.where) {
      return damaged(Section::kPairs, fmt::format("pair {} names series that are not there", pair.number));
    }
    const std::size_t begin = out.size();
    out.resize(begin + pair.count);
    std::iota(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), pair.where);
    return {};
  }
  const auto bytes = section(Section::kPostings);
  if (pair.where > bytes.size() || pair.count > bytes.size() - pair.where) {
    return damaged(Section::kPairs, fmt::format("the postings of pair {} are outside of their section", pair.number));
  }
  base::ByteReader in(bytes.subspan(pair.where));
  std::uint64_t id = 0;
  const std::size_t begin = out.size();
  out.resize(begin + pair.count);
  std::uint64_t least_gap = 1;
  for (std::uint32_t i = 0; i < pair.count; ++i) {
    const std::uint64_t gap = in.varint();
    if (i > 0) least_gap = std::min(least_gap, gap);
    id += gap;
    if (id >= footer_.info.series) break;
    out[begin + i] = static_cast<std::uint32_t>(id);
  }
  if (!in.ok() || id >= footer_.info.series || least_gap == 0) {
    return damaged(Section::kPostings, fmt::format("the postings of pair {} do not rise", pair.number));
  }
  return {};
}

base::Result<Postings> SegmentIndex::postings(std::span<const std::uint32_t> pair_numbers) const {
  Postings out;
  if (pair_numbers.size() == 1) {
    QD_TRY(add_postings(pair(pair_numbers[0]), out));
    return out;
  }
  // A series has each name once, so no number comes twice: a bitmap sorts them.
  std::vector<std::uint64_t> bits((footer_.info.series + 63) / 64);
  Postings some;
  for (const std::uint32_t number : pair_numbers) {
    some.clear();
    QD_TRY(add_postings(pair(number), some));
    for (const std::uint32_t id : some) bits[id / 64] |= std::uint64_t{1} << (id % 64);
  }
  for (std::size_t word = 0; word < bits.size(); ++word) {
    for (std::uint64_t rest = bits[word]; rest != 0; rest &= rest - 1) {
      out.push_back(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(__builtin_ctzll(rest)));
    }
  }
  return out;
}

void SegmentIndex::resolve(Condition& condition) const {
  const model::Matcher& matcher = *condition.matcher;
  const auto literals = matcher.literal_values();
  const auto add = [&](std::uint32_t number) {
    condition.pairs.push_back(number);
    condition.series += pair(number).count;
  };
  const auto add_value = [&](std::string_view value) {
    const std::uint32_t number = lower_bound(condition.range, value);
    if (number < condition.range.end && value_of(number) == value) add(number);
  };
  if (condition.exclude && matcher.kind() == model::Matcher::Kind::kNotEqual) {
    add_value(matcher.value());
  } else if (!condition.exclude && !literals.empty()) {
    for (const std::string& value : literals) add_value(value);
    std::sort(condition.pairs.begin(), condition.pairs.end());
    condition.pairs.erase(std::unique(condition.pairs.begin(), condition.pairs.end()), condition.pairs.end());
  } else {
    for (std::uint32_t number = condition.range.first; number < condition.range.end; ++number) {
      if (matcher.matches(value_of(number)) != condition.exclude) add(number);
    }
  }
  condition.resolved = true;
}

// Asks each candidate's record instead of the lists.
Postings SegmentIndex::filter(const Postings& candidates, const Condition& condition) const {
  Postings out;
  out.reserve(candidates.size());
  std::optional<std::uint32_t> last;  // neighbours mostly have the same value
  bool last_has = false;
  for (const std::uint32_t id : candidates) {
    const auto number = pair_of(id, condition.range);
    bool has = false;
    if (number) {
      if (number == last) {
        has = last_has;
      } else if (condition.resolved) {
        has = std::binary_search(condition.pairs.begin(), condition.pairs.end(), *number);
      } else {
        has = condition.matcher->matches(value_of(*number)) != condition.exclude;
      }
      last = number;
      last_has = has;
    }
    if (has != condition.exclude) out.push_back(id);
  }
  return out;
}

base::Result<Postings> SegmentIndex::apply(Postings candidates, Condition& condition) const {
  if (candidates.empty()) return candidates;
  if (!condition.resolved && candidates.size() >= condition.range.size()) resolve(condition);
  if (!condition.resolved || condition.series / kRecordCost > candidates.size()) return filter(candidates, condition);
  if (condition.pairs.empty()) {
    if (condition.exclude) return candidates;
    return Postings();
  }
  QD_ASSIGN(const Postings list, postings(condition.pairs));
  return condition.exclude ? subtract(candidates, list) : intersect(candidates, list);
}

base::Result<Postings> SegmentIndex::find(std::span<const model::Matcher> matchers) const {
  std::vector<Condition> conditions;
  for (const model::Matcher& matcher : matchers) {
    Condition condition(matcher, pairs_of(matcher.name()));
    if (condition.exclude) {
      if (condition.range.size() > 0) conditions.push_back(std::move(condition));
      continue;
    }
    if (!matcher.literal_values().empty()) {
      resolve(condition);
    } else if (const std::string_view prefix = matcher.literal_prefix();
               matcher.kind() == model::Matcher::Kind::kRegex && !prefix.empty()) {
      condition.range.first = lower_bound(condition.range, prefix);
      PairRange beyond = condition.range;
      while (beyond.first < beyond.end) {
        const std::uint32_t middle = beyond.first + beyond.size() / 2;
        if (value_of(middle).starts_with(prefix)) {
          beyond.first = middle + 1;
        } else {
          beyond.end = middle;
        }
      }
      condition.range.end = beyond.first;
    }
    if (condition.resolved ? condition.pairs.empty() : condition.range.size() == 0) return Postings();
    conditions.push_back(std::move(condition));
  }

  // Lists that are known first, the shortest in front; then values that must be looked at, the fewest in front; then
  // what only takes away.
  const auto rank = [](const Condition& c) {
    return std::tuple(c.exclude, !c.resolved, c.resolved ? c.series : std::uint64_t{c.range.size()});
  };
  std::sort(conditions.begin(), conditions.end(),
            [&](const Condition& a, const Condition& b) { return rank(a) < rank(b); });

  Postings candidates;
  std::size_t next = 0;
  if (!conditions.empty() && !conditions[0].exclude) {
    if (!conditions[0].resolved) resolve(conditions[0]);
    if (conditions[0].pairs.empty()) return Postings();
    QD_ASSIGN(candidates, postings(conditions[0].pairs));
    next = 1;
  } else {
    candidates.resize(footer_.info.series);
    std::iota(candidates.begin(), candidates.end(), 0U);
  }
  for (; next < conditions.size() && !candidates.empty(); ++next) {
    QD_ASSIGN(candidates, apply(std::move(candidates), conditions[next]));
  }
  return candidates;
}

Postings SegmentIndex::overlapping(PostingsView ids, model::TimestampMs from_ms, model::TimestampMs to_ms) const {
  if (from_ms > to_ms || from_ms > footer_.info.max_ms || to_ms < footer_.info.min_ms) return {};
  if (from_ms <= footer_.info.min_ms && to_ms >= footer_.info.max_ms) return Postings(ids.begin(), ids.end());
  Postings out;
  out.reserve(ids.size());
  // In distances from the segment's ends, as the records have them.
  const std::uint64_t from_to_max =
      static_cast<std::uint64_t>(footer_.info.max_ms) - static_cast<std::uint64_t>(from_ms);
  const std::uint64_t min_to_to = static_cast<std::uint64_t>(to_ms) - static_cast<std::uint64_t>(footer_.info.min_ms);
  for (const std::uint32_t id : ids) {
    base::ByteReader in = record(id);
    const std::uint64_t after_min = in.varint();
    const std::uint64_t before_max = in.varint();
    if (after_min <= min_to_to && before_max <= from_to_max) out.push_back(id);
  }
  return out;
}

}  // namespace qd::store::metrics
