#include "store/metrics/tombstones.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace qd::store::metrics {

using base::ErrorCode;

namespace {

constexpr std::string_view kTombstonesMagic = "QDTS";
constexpr std::uint32_t kTombstonesVersion = 1;

}  // namespace

TimestampMs Tombstone::head_until_ms() const {
  TimestampMs until = model::kMinTimestampMs;
  for (const InHead& one : in_head) until = std::max(until, one.until_ms);
  return until;
}

std::vector<Tombstones::Stretch> Tombstones::of_segment(std::uint64_t number, const LabelSet& labels,
                                                        TimestampMs from_ms, TimestampMs to_ms) const {
  std::vector<Stretch> stretches;
  for (const auto& one : list_) {
    if (number < one->segments_before && one->overlaps(from_ms, to_ms) && model::matches_all(one->matchers, labels))
      stretches.push_back({one->from_ms, one->to_ms});
  }
  return stretches;
}

std::vector<Tombstones::Stretch> Tombstones::of_head(SeriesRef ref, TimestampMs from_ms, TimestampMs to_ms) const {
  std::vector<Stretch> stretches;
  for (const auto& one : list_) {
    if (!one->overlaps(from_ms, to_ms)) continue;
    const auto found = std::lower_bound(one->in_head.begin(), one->in_head.end(), ref,
                                        [](const Tombstone::InHead& a, SeriesRef b) { return a.ref < b; });
    if (found != one->in_head.end() && found->ref == ref) stretches.push_back({one->from_ms, found->until_ms});
  }
  return stretches;
}

void Tombstones::cut(const std::vector<Stretch>& stretches, Columns& columns, std::size_t begin) {
  for (const Stretch& stretch : stretches) {
    const auto first = std::lower_bound(columns.times.begin() + static_cast<std::ptrdiff_t>(begin), columns.times.end(),
                                        stretch.from_ms);
    const auto end = std::upper_bound(first, columns.times.end(), stretch.to_ms);
    columns.erase(static_cast<std::size_t>(first - columns.times.begin()), static_cast<std::size_t>(end - first));
  }
}

bool Tombstones::covers(std::vector<Stretch> stretches, TimestampMs from_ms, TimestampMs to_ms) {
  std::sort(stretches.begin(), stretches.end(),
            [](const Stretch& a, const Stretch& b) { return a.from_ms < b.from_ms; });
  for (const Stretch& stretch : stretches) {
    if (stretch.from_ms > from_ms) return false;
    if (stretch.to_ms >= to_ms) return true;
    from_ms = std::max(from_ms, stretch.to_ms + 1);
  }
  return false;
}

void Tombstones::cut_segment(std::uint64_t number, const LabelSet& labels, Columns& columns, std::size_t begin) const {
  if (list_.empty() || columns.size() == begin) return;
  cut(of_segment(number, labels, columns.times[begin], columns.times.back()), columns, begin);
}

void Tombstones::cut_head(SeriesRef ref, Columns& columns, std::size_t begin) const {
  if (list_.empty() || columns.size() == begin) return;
  cut(of_head(ref, columns.times[begin], columns.times.back()), columns, begin);
}

bool Tombstones::covers_segment(std::uint64_t number, const LabelSet& labels, TimestampMs from_ms,
                                TimestampMs to_ms) const {
  return !list_.empty() && covers(of_segment(number, labels, from_ms, to_ms), from_ms, to_ms);
}

bool Tombstones::covers_head(SeriesRef ref, TimestampMs from_ms, TimestampMs to_ms) const {
  return !list_.empty() && covers(of_head(ref, from_ms, to_ms), from_ms, to_ms);
}

std::string encode_tombstone(const Tombstone& tombstone) {
  std::string out(kTombstonesMagic);
  base::ByteWriter writer(out);
  writer.fixed(kTombstonesVersion);
  writer.fixed(tombstone.from_ms);
  writer.fixed(tombstone.to_ms);
  writer.fixed(tombstone.segments_before);
  writer.varint(tombstone.matchers.size());
  for (const Matcher& matcher : tombstone.matchers) {
    writer.fixed(static_cast<std::uint8_t>(matcher.kind()));
    writer.text(matcher.name());
    writer.text(matcher.value());
  }
  writer.varint(tombstone.in_head.size());
  SeriesRef last = 0;
  for (const Tombstone::InHead& one : tombstone.in_head) {
    writer.varint(one.ref - last);
    writer.signed_varint(one.until_ms);
    last = one.ref;
  }
  writer.fixed(base::crc32c(base::as_bytes(out)));
  return out;
}

base::Result<Tombstone> decode_tombstone(std::span<const std::byte> bytes, std::uint64_t number,
                                         const std::filesystem::path& path, Checksums checksums) {
  const auto corrupt = [&](std::string_view what) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path.native(), what));
  };
  base::ByteReader reader(bytes);
  const std::string_view magic = base::as_text(reader.raw(kTombstonesMagic.size()));
  const auto version = reader.fixed<std::uint32_t>();
  if (!reader.ok() || magic != kTombstonesMagic) return corrupt("it is no tombstone");
  if (version > kTombstonesVersion) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} has format {}, and this Quarterdeck reads up to {}: run the newer one that wrote "
                                  "it",
                                  path.native(), version, kTombstonesVersion));
  }
  const std::size_t end = bytes.size() < sizeof(std::uint32_t) ? 0 : bytes.size() - sizeof(std::uint32_t);
  if (checksums == Checksums::kVerify &&
      base::ByteReader(bytes.subspan(end)).fixed<std::uint32_t>() != base::crc32c(bytes.first(end)))
    return corrupt("the checksum is wrong");
  Tombstone tombstone;
  tombstone.number = number;
  tombstone.from_ms = reader.fixed<TimestampMs>();
  tombstone.to_ms = reader.fixed<TimestampMs>();
  tombstone.segments_before = reader.fixed<std::uint64_t>();
  const std::uint64_t matchers = reader.varint();
  for (std::uint64_t i = 0; i < matchers && reader.ok(); ++i) {
    const auto kind = reader.fixed<std::uint8_t>();
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    if (kind > static_cast<std::uint8_t>(Matcher::Kind::kNotRegex)) return corrupt("a matcher of no known kind");
    auto matcher = Matcher::create(static_cast<Matcher::Kind>(kind), std::string(name), std::string(value));
    if (!matcher) return corrupt(matcher.error().message());
    tombstone.matchers.push_back(std::move(*matcher));
  }
  // A deletion of everything is asked for by a matcher, never by none.
  if (!reader.ok() || tombstone.matchers.empty()) return corrupt("it names no series");
  const std::uint64_t in_head = reader.varint();
  if (!reader.ok() || in_head > reader.remaining()) return corrupt("it ends too early");
  tombstone.in_head.reserve(in_head);
  SeriesRef last = 0;
  for (std::uint64_t i = 0; i < in_head; ++i) {
    last += reader.varint();
    const TimestampMs until_ms = reader.signed_varint();
    tombstone.in_head.push_back({last, until_ms});
  }
  if (!reader.ok() || reader.remaining() != sizeof(std::uint32_t)) return corrupt("it is not as long as it says");
  return tombstone;
}

}  // namespace qd::store::metrics
