#include "store/prometheus/wal.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "model/remote_write/snappy_block.h"
#include "store/prometheus/bytes.h"

namespace qd::store::prometheus {
namespace {

using base::ByteReader;
using base::ErrorCode;
using model::TimestampMs;

enum class Fragment : std::uint8_t { kPageEnd = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };
constexpr std::uint8_t kFragmentMask = 0b0000'0111;
constexpr std::uint8_t kSnappyFlag = 0b0000'1000;
constexpr std::uint8_t kZstdFlag = 0b0001'0000;
constexpr std::size_t kFragmentHeaderBytes = 7;
constexpr std::string_view kCheckpointPrefix = "checkpoint.";

enum class Record : std::uint8_t {
  kSeries = 1,
  kSamples = 2,
  kTombstones = 3,
  kExemplars = 4,
  kMapMarkers = 5,
  kMetadata = 6,
  kHistograms = 7,
  kFloatHistograms = 8,
  kCustomHistograms = 9,
  kCustomFloatHistograms = 10,
};

base::Status bad_record(std::string_view what) {
  return base::fail(ErrorCode::kCorrupt, fmt::format("a record of {} does not read", what));
}

// Names and values as they come; Prometheus writes them sorted.
std::optional<model::LabelSet> read_labels(ByteReader& in) {
  const std::uint64_t count = in.varint();
  if (count > in.remaining() / 2) return std::nullopt;
  std::vector<model::Label> labels;
  labels.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string_view name = in.text();
    labels.push_back({.name = name, .value = in.text()});
  }
  if (!in.ok()) return std::nullopt;
  return model::LabelSet::from(std::move(labels));
}

base::Status read_series(ByteReader& in, WalVisitor& visitor) {
  while (!in.at_end()) {
    const std::uint64_t ref = read_be64(in);
    const auto labels = read_labels(in);
    if (!labels) return bad_record("series");
    visitor.series(ref, *labels);
  }
  return {};
}

// References and times are told as what they differ from the first of the record.
struct Base {
  std::uint64_t ref = 0;
  std::uint64_t time = 0;

  explicit Base(ByteReader& in) : ref(read_be64(in)), time(read_be64(in)) {}
  std::uint64_t next_ref(ByteReader& in) const { return ref + static_cast<std::uint64_t>(in.signed_varint()); }
  TimestampMs next_time(ByteReader& in) const {
    return static_cast<TimestampMs>(time + static_cast<std::uint64_t>(in.signed_varint()));
  }
};

base::Status read_samples(ByteReader& in, WalVisitor& visitor) {
  if (in.at_end()) return {};
  const Base first(in);
  while (!in.at_end()) {
    const std::uint64_t ref = first.next_ref(in);
    const TimestampMs time_ms = first.next_time(in);
    const double value = read_be_double(in);
    if (!in.ok()) return bad_record("samples");
    visitor.sample(ref, time_ms, value);
  }
  return in.ok() ? base::Status() : bad_record("samples");
}

base::Status read_tombstones(ByteReader& in, WalVisitor& visitor) {
  while (!in.at_end()) {
    const std::uint64_t ref = read_be64(in);
    const TimestampMs min_ms = in.signed_varint();
    const TimestampMs max_ms = in.signed_varint();
    if (!in.ok()) return bad_record("tombstones");
    visitor.deleted(ref, {.min_ms = min_ms, .max_ms = max_ms});
  }
  return {};
}

bool read_spans(ByteReader& in, std::vector<model::BucketSpan>& spans) {
  const std::uint64_t count = in.varint();
  if (count > in.remaining() / 2) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t offset = in.signed_varint();
    const std::uint64_t length = in.varint();
    if (offset != static_cast<std::int32_t>(offset) || length > model::kHistogramBucketsMax) return false;
    spans.push_back({.offset = static_cast<std::int32_t>(offset), .length = static_cast<std::uint32_t>(length)});
  }
  return in.ok();
}

// Integers as what each has more than the one before.
bool read_buckets(ByteReader& in, bool is_integer, std::vector<double>& counts) {
  const std::uint64_t count = in.varint();
  if (count > in.remaining() || count > model::kHistogramBucketsMax) return false;
  std::uint64_t whole = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (is_integer) whole += static_cast<std::uint64_t>(in.signed_varint());
    counts.push_back(is_integer ? static_cast<double>(static_cast<std::int64_t>(whole)) : read_be_double(in));
  }
  return in.ok();
}

bool read_histogram(ByteReader& in, bool is_integer, model::Histogram& histogram) {
  constexpr model::CounterReset kHints[] = {model::CounterReset::kUnknown, model::CounterReset::kReset,
                                            model::CounterReset::kNotReset, model::CounterReset::kGauge};
  histogram.is_integer = is_integer;
  histogram.reset = kHints[in.fixed<std::uint8_t>() & 3];
  histogram.schema = static_cast<std::int32_t>(in.signed_varint());
  histogram.zero_threshold = read_be_double(in);
  histogram.zero_count = is_integer ? static_cast<double>(in.varint()) : read_be_double(in);
  histogram.count = is_integer ? static_cast<double>(in.varint()) : read_be_double(in);
  histogram.sum = read_be_double(in);
  if (!read_spans(in, histogram.positive_spans) || !read_spans(in, histogram.negative_spans)) return false;
  if (!read_buckets(in, is_integer, histogram.positive) || !read_buckets(in, is_integer, histogram.negative))
    return false;
  if (histogram.schema != model::kCustomBounds) return in.ok();
  const std::uint64_t bounds = in.varint();
  if (bounds > in.remaining() / sizeof(double)) return false;
  for (std::uint64_t i = 0; i < bounds; ++i) histogram.custom_bounds.push_back(read_be_double(in));
  return in.ok();
}

base::Status read_histograms(ByteReader& in, bool is_integer, WalVisitor& visitor) {
  if (in.at_end()) return {};
  const Base first(in);
  while (!in.at_end()) {
    const std::uint64_t ref = first.next_ref(in);
    const TimestampMs time_ms = first.next_time(in);
    auto histogram = std::make_shared<model::Histogram>();
    if (!read_histogram(in, is_integer, *histogram)) return bad_record("histograms");
    if (model::is_stale_nan(histogram->sum)) {
      visitor.sample(ref, time_ms, model::stale_nan());
      continue;
    }
    if (auto valid = model::validate(*histogram); !valid)
      return base::fail(ErrorCode::kCorrupt, "a record of histograms: " + valid.error().message());
    visitor.histogram(ref, time_ms, std::move(histogram));
  }
  return in.ok() ? base::Status() : bad_record("histograms");
}

base::Result<std::string> unpack_zstd(std::string_view packed) {
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR) return base::fail(ErrorCode::kCorrupt, "a record is no zstd frame");
  std::string out;
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  char part[16 << 10];
  std::size_t left = 1;
  while (left != 0 && out.size() <= kWalRecordBytesMax) {
    ZSTD_outBuffer into{part, sizeof part, 0};
    left = ZSTD_decompressStream(stream, &into, &in);
    if (ZSTD_isError(left) != 0 || (into.pos == 0 && in.pos == in.size && left != 0)) break;
    out.append(part, into.pos);
  }
  ZSTD_freeDStream(stream);
  if (left != 0) return base::fail(ErrorCode::kCorrupt, "a record does not unpack by zstd, or is too large");
  return out;
}

base::Status unpack_and_read(std::uint8_t flags, std::string_view record, WalVisitor& visitor, WalCounts& counts) {
  if ((flags & kSnappyFlag) != 0) {
    const auto plain = model::remote_write::unpack(record, kWalRecordBytesMax);
    if (!plain) return base::fail(ErrorCode::kCorrupt, plain.error().message());
    return read_wal_record(*plain, visitor, counts);
  }
  if ((flags & kZstdFlag) != 0) {
    QD_ASSIGN(const std::string plain, unpack_zstd(record));
    return read_wal_record(plain, visitor, counts);
  }
  return read_wal_record(record, visitor, counts);
}

// Segments of a log, or checkpoints, by their number.
base::Result<std::vector<std::uint64_t>> numbers_in(base::Files& files, const std::filesystem::path& dir,
                                                    std::string_view prefix) {
  QD_ASSIGN(const std::vector<std::string> names, files.list(dir));
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names) {
    if (!name.starts_with(prefix)) continue;
    std::uint64_t number = 0;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

}  // namespace

base::Status read_wal_record(std::string_view record, WalVisitor& visitor, WalCounts& counts) {
  ByteReader in(base::as_bytes(record));
  if (in.at_end()) return {};
  ++counts.records;
  const auto type = in.fixed<std::uint8_t>();
  switch (static_cast<Record>(type)) {
    case Record::kSeries:
      return read_series(in, visitor);
    case Record::kSamples:
      return read_samples(in, visitor);
    case Record::kTombstones:
      return read_tombstones(in, visitor);
    case Record::kHistograms:
    case Record::kCustomHistograms:
      return read_histograms(in, true, visitor);
    case Record::kFloatHistograms:
    case Record::kCustomFloatHistograms:
      return read_histograms(in, false, visitor);
    case Record::kExemplars:
      ++counts.exemplars;
      return {};
    case Record::kMapMarkers:
    case Record::kMetadata:
      return {};
  }
  ++counts.unknown_records;
  return {};
}

base::Status read_wal_segment(std::span<const std::byte> bytes, const std::filesystem::path& path, WalVisitor& visitor,
                              WalCounts& counts) {
  ++counts.segments;
  std::string parts;
  std::uint8_t first_flags = 0;
  bool inside = false;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t page_left = kWalPageBytes - at % kWalPageBytes;
    const auto type = static_cast<Fragment>(std::to_integer<std::uint8_t>(bytes[at]) & kFragmentMask);
    if (type == Fragment::kPageEnd || page_left < kFragmentHeaderBytes) {
      // The rest of the page is empty; of the last one it may not be there.
      const auto rest = bytes.subspan(at, std::min(page_left, bytes.size() - at));
      if (!std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0}; }))
        return damage(path, at, "what should be the empty end of a page is not empty");
      at += page_left;
      continue;
    }
    if (bytes.size() - at < kFragmentHeaderBytes) return damage(path, at, "the log ends in the head of a record");
    const std::uint8_t flags = std::to_integer<std::uint8_t>(bytes[at]);
    ByteReader head(bytes.subspan(at + 1, kFragmentHeaderBytes - 1));
    const std::size_t length = read_be16(head);
    const std::uint32_t checksum = read_be32(head);
    if (length > page_left - kFragmentHeaderBytes) return damage(path, at, "a record would reach beyond its page");
    if (length > bytes.size() - at - kFragmentHeaderBytes) return damage(path, at, "the log ends in a record");
    const auto data = bytes.subspan(at + kFragmentHeaderBytes, length);
    if (base::crc32c(data) != checksum) return damage(path, at, "a record does not match its checksum");
    const bool starts = type == Fragment::kFull || type == Fragment::kFirst;
    if (starts == inside || type > Fragment::kLast)
      return damage(path, at, "a record's parts do not follow each other");
    if (starts) {
      parts.clear();
      first_flags = flags;
    }
    if (parts.size() + length > kWalRecordBytesMax) return damage(path, at, "a record is larger than any");
    parts.append(base::as_text(data));
    inside = type == Fragment::kFirst || type == Fragment::kMiddle;
    if (!inside) {
      if (auto read = unpack_and_read(first_flags, parts, visitor, counts); !read)
        return damage(path, at, read.error().message());
    }
    at += kFragmentHeaderBytes + length;
  }
  if (inside) return damage(path, bytes.size(), "the log ends within a record");
  return {};
}

base::Status read_wal(base::Files& files, const std::filesystem::path& dir, std::uint64_t first, const Warn& warn,
                      WalVisitor& visitor, WalCounts& counts) {
  QD_ASSIGN(const bool there, files.exists(dir));
  if (!there) return {};
  QD_ASSIGN(const std::vector<std::uint64_t> numbers, numbers_in(files, dir, ""));
  std::optional<std::uint64_t> before;
  for (const std::uint64_t number : numbers) {
    if (number < first) continue;
    if (before && number != *before + 1) {
      ++counts.damaged_segments;
      warn({fmt::format("{}: segments {} to {} of the log are not there", dir.native(), *before + 1, number - 1)});
    }
    before = number;
    const auto path = dir / fmt::format("{:08}", number);
    const auto mapping = files.map(path);
    if (!mapping) {
      // A live Prometheus may have removed it meanwhile.
      warn({mapping.error().message()});
      ++counts.damaged_segments;
      continue;
    }
    if (const auto read = read_wal_segment((*mapping)->bytes(), path, visitor, counts); !read) {
      const bool last = number == numbers.back();
      if (!last) ++counts.damaged_segments;
      warn({fmt::format(
                "{}; {}", read.error().message(),
                last ? "the log is taken up to there, as after a crash" : "the rest of this segment is passed over"),
            last});
    }
  }
  return {};
}

base::Status read_wal_and_checkpoint(base::Files& files, const std::filesystem::path& wal_dir, const Warn& warn,
                                     WalVisitor& visitor, WalCounts& counts) {
  QD_ASSIGN(const bool there, files.exists(wal_dir));
  if (!there) return {};
  QD_ASSIGN(const std::vector<std::uint64_t> checkpoints, numbers_in(files, wal_dir, kCheckpointPrefix));
  std::uint64_t first = 0;
  if (!checkpoints.empty()) {
    const auto dir = wal_dir / fmt::format("{}{:08}", kCheckpointPrefix, checkpoints.back());
    QD_TRY(read_wal(files, dir, 0, warn, visitor, counts));
    first = checkpoints.back() + 1;
  }
  return read_wal(files, wal_dir, first, warn, visitor, counts);
}

}  // namespace qd::store::prometheus
