#include "store/metrics/wal_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "store/metrics/chunk.h"
#include "store/metrics/histogram_bytes.h"

namespace qd::store::metrics {
namespace {

using base::ByteReader;
using base::ByteWriter;

constexpr std::uint16_t kMarker = 0x5157;  // "WQ"

// Times of a batch: one for all, or each as the difference to the one before.
constexpr std::uint8_t kOneTime = 0;
constexpr std::uint8_t kManyTimes = 1;

// Tag byte of a value: 0..127 is the value itself; 128 + 8 * scale + n - 1 is a decimal of n bytes; 247 + n is the n
// upper bytes of a double.
constexpr unsigned kDecimalTag = 128;
constexpr unsigned kRawTag = 247;
constexpr std::size_t kValueBytesMax = 9;
// In records of histograms: a varint length and the histogram (histogram_bytes.cpp).
constexpr unsigned kHistogramTag = 184;
constexpr std::uint8_t kHasTime = 1;
// A record of exemplars is closed once it has so much.
constexpr std::size_t kRecordBytesDue = 1 << 20;

struct RecordHeader {
  std::uint16_t marker;
  std::uint8_t type;
  std::uint8_t zero;
  std::uint32_t length;
  std::uint32_t crc;  // of the eight bytes before, then the payload
};
static_assert(sizeof(RecordHeader) == kWalRecordHeaderBytes);

std::uint32_t record_crc(const RecordHeader& header, std::span<const std::byte> payload) {
  const auto head = std::as_bytes(std::span(&header, 1)).first(offsetof(RecordHeader, crc));
  return base::crc32c(payload, base::crc32c(head));
}

bool is_type(std::uint8_t type) {
  switch (static_cast<WalRecordType>(type)) {
    case WalRecordType::kSeries:
    case WalRecordType::kSamples:
    case WalRecordType::kHistograms:
    case WalRecordType::kExemplars:
    case WalRecordType::kLate:
    case WalRecordType::kLateHistograms:
      return true;
  }
  return false;
}

// Leaves room for a header and returns where.
std::size_t open_record(std::string& out) {
  const std::size_t at = out.size();
  out.append(kWalRecordHeaderBytes, '\0');
  return at;
}

void close_record(std::string& out, std::size_t at, WalRecordType type) {
  const auto payload = base::as_bytes(std::string_view(out).substr(at + kWalRecordHeaderBytes));
  RecordHeader header{kMarker, static_cast<std::uint8_t>(type), 0, static_cast<std::uint32_t>(payload.size()), 0};
  header.crc = record_crc(header, payload);
  std::memcpy(out.data() + at, &header, sizeof header);
}

char* put_bytes(char* out, std::uint64_t value, unsigned n) {
  std::memcpy(out, &value, sizeof value);
  return out + n;
}

// Needs room for kValueBytesMax and, for the sake of a whole store, eight more.
char* put_value(char* out, double value) {
  std::int64_t mantissa = 0;
  int scale = 0;
  bool decimal = as_decimal(value, 0, mantissa);
  if (decimal && mantissa >= 0 && mantissa < kDecimalTag) {
    *out++ = static_cast<char>(mantissa);
    return out;
  }
  if (!decimal && value < 1e12 && value > -1e12) {
    for (scale = 1; scale <= kDecimalScaleMax; ++scale) {
      decimal = as_decimal(value, scale, mantissa);
      if (decimal) break;
    }
  }
  if (decimal) {
    const std::uint64_t coded = base::zigzag(mantissa);
    const unsigned n = std::max(1U, (static_cast<unsigned>(std::bit_width(coded)) + 7) / 8);
    *out++ = static_cast<char>(kDecimalTag + static_cast<unsigned>(scale) * 8 + n - 1);
    return put_bytes(out, coded, n);
  }
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const unsigned zeros = bits == 0 ? 7 : static_cast<unsigned>(std::countr_zero(bits)) / 8;
  *out++ = static_cast<char>(kRawTag + 8 - zeros);
  return put_bytes(out, bits >> (8 * zeros), 8 - zeros);
}

bool get_value(const std::byte*& at, const std::byte* end, double& value) {
  if (at >= end) return false;
  const auto tag = std::to_integer<unsigned>(*at++);
  if (tag < kDecimalTag) {
    value = tag;
    return true;
  }
  const unsigned n = tag > kRawTag ? tag - kRawTag : (tag & 7) + 1;
  if (static_cast<std::size_t>(end - at) < n) return false;
  std::uint64_t read = 0;
  if (static_cast<std::size_t>(end - at) >= sizeof read) {
    std::memcpy(&read, at, sizeof read);
    if (n < 8) read &= (1ULL << (8 * n)) - 1;
  } else {
    std::memcpy(&read, at, n);
  }
  at += n;
  if (tag > kRawTag) {
    value = std::bit_cast<double>(read << (8 * (8 - n)));
    return true;
  }
  const unsigned scale = (tag - kDecimalTag) / 8;
  if (scale > static_cast<unsigned>(kDecimalScaleMax)) return false;
  value = static_cast<double>(base::unzigzag(read)) / kPowersOfTen[scale];
  return true;
}

bool get_values(std::span<const std::byte> bytes, std::span<double> values) {
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  for (double& value : values) {
    if (!get_value(at, end, value)) return false;
  }
  return at == end;
}

// The first value of `in`, a number or a histogram.
bool get_value_or_histogram(ByteReader& in, double& value, model::HistogramPtr& histogram) {
  ByteReader ahead = in;
  const auto rest = ahead.raw(ahead.remaining());
  if (rest.empty()) return false;
  if (std::to_integer<unsigned>(rest[0]) != kHistogramTag) {
    const std::byte* at = rest.data();
    if (!get_value(at, at + rest.size(), value)) return false;
    in.raw(static_cast<std::size_t>(at - rest.data()));
    return true;
  }
  in.raw(1);
  ByteReader bytes(base::as_bytes(in.text()));
  auto read = std::make_shared<model::Histogram>();
  if (!in.ok() || !decode_histogram(bytes, *read) || !bytes.at_end()) return false;
  value = histogram_mark(*read);
  histogram = std::move(read);
  return true;
}

void put_values_and_histograms(const SampleBatch& batch, std::string& out) {
  std::string bytes;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch.histograms[i] == nullptr) {
      char value[kValueBytesMax + 8];
      out.append(value, static_cast<std::size_t>(put_value(value, batch.values[i]) - value));
      continue;
    }
    bytes.clear();
    encode_histogram(*batch.histograms[i], bytes);
    out.push_back(static_cast<char>(kHistogramTag));
    ByteWriter(out).text(bytes);
  }
}

}  // namespace

std::string wal_header(std::uint64_t segment) {
  std::string out(kWalMagic);
  ByteWriter writer(out);
  writer.fixed(kWalVersion);
  writer.fixed(segment);
  return out;
}

namespace {

void encode_samples(std::string& out, const SampleBatch& batch) {
  const std::size_t n = batch.size();
  ByteWriter writer(out);
  writer.varint(n);
  SeriesRef expected = 0;
  for (std::size_t i = 0; i < n;) {
    std::size_t run = 1;
    while (i + run < n && batch.refs[i + run] == batch.refs[i] + run) ++run;
    writer.signed_varint(static_cast<std::int64_t>(batch.refs[i] - expected));
    writer.varint(run);
    expected = batch.refs[i] + run;
    i += run;
  }
  const bool one_time = std::all_of(batch.times.begin(), batch.times.end(),
                                    [&](model::TimestampMs time) { return time == batch.times.front(); });
  writer.fixed(one_time ? kOneTime : kManyTimes);
  std::uint64_t last = 0;
  for (const model::TimestampMs time : batch.times) {
    writer.signed_varint(static_cast<std::int64_t>(static_cast<std::uint64_t>(time) - last));
    last = static_cast<std::uint64_t>(time);
    if (one_time) break;
  }
  if (batch.histograms.empty()) {
    const std::size_t values_at = out.size();
    out.resize(values_at + n * kValueBytesMax + 8);
    char* const first = out.data() + values_at;
    char* at = first;
    for (const double value : batch.values) at = put_value(at, value);
    out.resize(values_at + static_cast<std::size_t>(at - first));
  } else {
    put_values_and_histograms(batch, out);
  }
}

base::Status close_batch(std::string& out, std::size_t start, WalRecordType type, std::size_t samples) {
  if (out.size() - start > kWalRecordBytesMax) {
    out.resize(start);
    return base::fail(base::ErrorCode::kLimit,
                      fmt::format("a batch of {} samples takes more than {} bytes in the log: commit smaller batches",
                                  samples, kWalRecordBytesMax));
  }
  close_record(out, start, type);
  return {};
}

}  // namespace

base::Status append_samples_record(std::string& out, const SampleBatch& batch) {
  const std::size_t start = open_record(out);
  encode_samples(out, batch);
  return close_batch(out, start, batch.histograms.empty() ? WalRecordType::kSamples : WalRecordType::kHistograms,
                     batch.size());
}

base::Status append_late_record(std::string& out, const SampleBatch& late, const SampleBatch& samples) {
  const std::size_t start = open_record(out);
  std::string first;
  encode_samples(first, late);
  ByteWriter(out).text(first);
  if (!samples.refs.empty()) encode_samples(out, samples);
  const bool numbers = late.histograms.empty() && samples.histograms.empty();
  return close_batch(out, start, numbers ? WalRecordType::kLate : WalRecordType::kLateHistograms,
                     late.size() + samples.size());
}

// varint how many, then for each: varint reference, svarint time, u8 whether it came with it, f64 value, text labels.
void append_exemplars_records(std::string& out, std::span<const RefExemplar> exemplars) {
  std::string payload;
  while (!exemplars.empty()) {
    payload.clear();
    ByteWriter writer(payload);
    std::size_t n = 0;
    for (; n < exemplars.size() && payload.size() < kRecordBytesDue; ++n) {
      const auto& [ref, exemplar] = exemplars[n];
      writer.varint(ref);
      writer.signed_varint(exemplar.time_ms);
      writer.fixed<std::uint8_t>(exemplar.has_time ? kHasTime : 0);
      writer.fixed(exemplar.value);
      writer.text(exemplar.labels.bytes());
    }
    const std::size_t start = open_record(out);
    ByteWriter(out).varint(n);
    out.append(payload);
    close_record(out, start, WalRecordType::kExemplars);
    exemplars = exemplars.subspan(n);
  }
}

void SeriesRecordWriter::add(SeriesRef ref, std::string_view label_bytes) {
  ByteWriter writer(payload_);
  writer.varint(ref);
  writer.text(label_bytes);
  if (payload_.size() >= kPayloadBytes) finish();
}

void SeriesRecordWriter::finish() {
  if (payload_.empty()) return;
  const std::size_t start = open_record(out_);
  out_.append(payload_);
  close_record(out_, start, WalRecordType::kSeries);
  payload_.clear();
}

bool read_record(std::span<const std::byte> bytes, std::size_t at, WalRecord& record, Checksums checksums) {
  if (at > bytes.size() || bytes.size() - at < kWalRecordHeaderBytes) return false;
  RecordHeader header;
  std::memcpy(&header, bytes.data() + at, sizeof header);
  if (header.marker != kMarker || header.zero != 0) return false;
  if (!is_type(header.type)) return false;
  if (header.length > bytes.size() - at - kWalRecordHeaderBytes) return false;
  record.payload = bytes.subspan(at + kWalRecordHeaderBytes, header.length);
  record.type = static_cast<WalRecordType>(header.type);
  record.bytes = kWalRecordHeaderBytes + header.length;
  return checksums == Checksums::kIgnore || record_crc(header, record.payload) == header.crc;
}

bool decode_series(std::span<const std::byte> payload, std::vector<LoggedSeries>& out) {
  out.clear();
  ByteReader reader(payload);
  while (!reader.at_end()) {
    const SeriesRef ref = reader.varint();
    const std::string_view labels = reader.text();
    if (!reader.ok()) return false;
    out.push_back({ref, labels});
  }
  return true;
}

namespace {

// How many samples, their references and times.
bool get_samples(ByteReader& reader, SampleBatch& out) {
  out.clear();
  const std::uint64_t n = reader.varint();
  // A value takes a byte at least, so this bounds what is allocated below.
  if (!reader.ok() || n == 0 || n > reader.remaining()) return false;
  out.refs.reserve(n);
  SeriesRef expected = 0;
  while (out.refs.size() < n) {
    const SeriesRef first = expected + static_cast<std::uint64_t>(reader.signed_varint());
    const std::uint64_t run = reader.varint();
    if (!reader.ok() || run == 0 || run > n - out.refs.size()) return false;
    for (std::uint64_t i = 0; i < run; ++i) out.refs.push_back(first + i);
    expected = first + run;
  }
  const auto shape = reader.fixed<std::uint8_t>();
  if (!reader.ok() || shape > kManyTimes) return false;
  auto time = static_cast<std::uint64_t>(reader.signed_varint());
  if (shape == kOneTime) {
    out.times.assign(n, static_cast<model::TimestampMs>(time));
  } else {
    out.times.reserve(n);
    out.times.push_back(static_cast<model::TimestampMs>(time));
    for (std::uint64_t i = 1; i < n; ++i) {
      time += static_cast<std::uint64_t>(reader.signed_varint());
      out.times.push_back(static_cast<model::TimestampMs>(time));
    }
  }
  out.values.resize(n);
  return reader.ok();
}

}  // namespace

bool decode_samples(std::span<const std::byte> payload, SampleBatch& out) {
  ByteReader reader(payload);
  return get_samples(reader, out) && get_values(reader.raw(reader.remaining()), out.values);
}

bool decode_histogram_samples(std::span<const std::byte> payload, SampleBatch& out) {
  ByteReader reader(payload);
  if (!get_samples(reader, out)) return false;
  out.histograms.resize(out.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!get_value_or_histogram(reader, out.values[i], out.histograms[i])) return false;
  }
  return reader.at_end();
}

bool decode_exemplars(std::span<const std::byte> payload, std::vector<RefExemplar>& out) {
  out.clear();
  ByteReader reader(payload);
  std::uint64_t left = reader.varint();
  if (left > reader.remaining()) return false;
  for (; left > 0; --left) {
    RefExemplar& read = out.emplace_back();
    read.ref = reader.varint();
    read.exemplar.time_ms = reader.signed_varint();
    const auto flags = reader.fixed<std::uint8_t>();
    read.exemplar.value = reader.fixed<double>();
    auto labels = model::LabelSet::from_bytes(reader.text());
    if (!reader.ok() || flags > kHasTime || !labels) return false;
    read.exemplar.has_time = flags == kHasTime;
    read.exemplar.labels = *std::move(labels);
  }
  return reader.at_end();
}

bool decode_late(const WalRecord& record, SampleBatch& late, SampleBatch& samples) {
  late.clear();
  samples.clear();
  ByteReader reader(record.payload);
  const std::string_view first = reader.text();
  const auto decode = [&](std::span<const std::byte> payload, SampleBatch& out) {
    if (record.type == WalRecordType::kLate) return decode_samples(payload, out);
    if (!decode_histogram_samples(payload, out)) return false;
    // They may all be in the other part.
    if (std::ranges::all_of(out.histograms, [](const auto& histogram) { return histogram == nullptr; }))
      out.histograms.clear();
    return true;
  };
  if (!reader.ok() || !decode(base::as_bytes(first), late)) return false;
  return reader.at_end() || decode(reader.raw(reader.remaining()), samples);
}

}  // namespace qd::store::metrics
