#include "store/prometheus/histogram_chunk.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <utility>

#include "model/sample.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using model::BucketSpan;
using model::CounterReset;
using model::Histogram;

constexpr std::uint8_t kResetFlag = 0b1000'0000;
constexpr std::uint8_t kNotResetFlag = 0b0100'0000;
constexpr std::uint8_t kGaugeFlag = 0b1100'0000;
// A zero threshold that is 2^(byte - 244) is one byte.
constexpr int kThresholdShift = 243;
constexpr std::uint8_t kThresholdInFull = 255;
// A custom bound of at most three decimals and up to this, in thousandths, is a varbit number.
constexpr double kBoundThousandthsMax = 33'554'430;
constexpr double kExactMax = 9'007'199'254'740'992;  // 2^53

CounterReset reset_of(std::uint8_t flags) {
  switch (flags & kGaugeFlag) {
    case kResetFlag:
      return CounterReset::kReset;
    case kNotResetFlag:
      return CounterReset::kNotReset;
    case kGaugeFlag:
      return CounterReset::kGauge;
    default:
      return CounterReset::kUnknown;
  }
}

double read_threshold(BitReader& in) {
  const auto code = static_cast<std::uint8_t>(in.bits(8));
  if (code == 0) return 0;
  if (code == kThresholdInFull) return in.float64();
  return std::ldexp(0.5, static_cast<int>(code) - kThresholdShift);
}

void write_threshold(BitWriter& out, double threshold) {
  if (threshold == 0) return out.bits(0, 8);
  int exponent = 0;
  if (std::frexp(threshold, &exponent) == 0.5 && exponent >= 1 - kThresholdShift && exponent <= 254 - kThresholdShift) {
    return out.bits(static_cast<std::uint64_t>(exponent + kThresholdShift), 8);
  }
  out.bits(kThresholdInFull, 8);
  out.float64(threshold);
}

bool read_spans(BitReader& in, std::vector<BucketSpan>& spans, std::size_t& buckets) {
  const std::uint64_t count = in.varbit_uint();
  // A span takes two bits at least.
  if (count > in.bits_left() / 2 || count > model::kHistogramBucketsMax) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t length = in.varbit_uint();
    const std::int64_t offset = in.varbit_int();
    if (length > model::kHistogramBucketsMax - buckets || offset != static_cast<std::int32_t>(offset)) return false;
    buckets += static_cast<std::size_t>(length);
    spans.push_back({.offset = static_cast<std::int32_t>(offset), .length = static_cast<std::uint32_t>(length)});
  }
  return in.ok();
}

void write_spans(BitWriter& out, const std::vector<BucketSpan>& spans) {
  out.varbit_uint(spans.size());
  for (const BucketSpan& span : spans) {
    out.varbit_uint(span.length);
    out.varbit_int(span.offset);
  }
}

bool read_bounds(BitReader& in, std::vector<double>& bounds) {
  const std::uint64_t count = in.varbit_uint();
  if (count > in.bits_left() || count > model::kHistogramBucketsMax) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    // A number in thousandths is never told as zero.
    const std::uint64_t thousandths = in.varbit_uint();
    bounds.push_back(thousandths == 0 ? in.float64() : static_cast<double>(thousandths - 1) / 1000);
  }
  return in.ok();
}

void write_bounds(BitWriter& out, const std::vector<double>& bounds) {
  out.varbit_uint(bounds.size());
  for (const double bound : bounds) {
    const double thousandths = bound * 1000;
    if (thousandths >= 0 && thousandths <= kBoundThousandthsMax && thousandths == std::floor(thousandths) &&
        thousandths / 1000 == bound) {
      out.varbit_uint(static_cast<std::uint64_t>(thousandths) + 1);
    } else {
      out.bit(false);
      out.float64(bound);
    }
  }
}

// What all histograms of a chunk share, their buckets empty.
base::Result<Histogram> read_layout(BitReader& in) {
  Histogram layout;
  const auto corrupt = [](const char* what) { return base::fail(ErrorCode::kCorrupt, what); };
  layout.reset = reset_of(static_cast<std::uint8_t>(in.bits(8)));
  layout.zero_threshold = read_threshold(in);
  const std::int64_t schema = in.varbit_int();
  if (schema != static_cast<std::int32_t>(schema)) return corrupt("a chunk of histograms has a schema that is none");
  layout.schema = static_cast<std::int32_t>(schema);
  std::size_t positive = 0;
  std::size_t negative = 0;
  if (!read_spans(in, layout.positive_spans, positive) || !read_spans(in, layout.negative_spans, negative))
    return corrupt("the spans of a chunk of histograms do not read");
  if (layout.schema == model::kCustomBounds && !read_bounds(in, layout.custom_bounds))
    return corrupt("the bounds of a chunk of histograms do not read");
  layout.positive.resize(positive);
  layout.negative.resize(negative);
  if (auto valid = model::validate(layout); !valid)
    return base::fail(ErrorCode::kCorrupt, "a chunk of histograms: " + valid.error().message());
  return layout;
}

// A number told as the change of its change.
struct IntegerColumn {
  std::uint64_t value = 0;
  std::uint64_t delta = 0;

  void read(BitReader& in, std::size_t sample) {
    const auto told = static_cast<std::uint64_t>(in.varbit_int());
    delta = sample == 1 ? told : delta + told;
    value += delta;
  }
};

void fill(std::vector<double>& counts, std::span<const IntegerColumn> columns) {
  // Each is told as what it has more than the one before.
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    count += columns[i].value;
    counts[i] = static_cast<double>(static_cast<std::int64_t>(count));
  }
}

void fill(std::vector<double>& counts, std::span<const XorColumn> columns) {
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = columns[i].value;
}

class Decoder {
 public:
  Decoder(BitReader& in, Histogram layout, bool is_integer)
      : in_(in), layout_(std::move(layout)), integer_(is_integer) {
    layout_.is_integer = integer_;
    const std::size_t buckets = layout_.positive.size() + layout_.negative.size();
    if (integer_) {
      integers_.resize(buckets);
    } else {
      floats_.resize(buckets);
    }
  }

  TimestampMs time_ms() const { return static_cast<TimestampMs>(time_.value); }
  bool stale() const { return model::is_stale_nan(sum_.value); }

  void read(std::size_t sample) { integer_ ? read_integers(sample) : read_floats(sample); }

  std::shared_ptr<const Histogram> histogram(std::size_t sample) const {
    auto made = std::make_shared<Histogram>(layout_);
    made->sum = sum_.value;
    // Within a chunk nothing was counted back.
    if (sample > 0 && made->reset != CounterReset::kGauge) made->reset = CounterReset::kNotReset;
    const std::size_t positive = made->positive.size();
    if (integer_) {
      made->count = static_cast<double>(count_.value);
      made->zero_count = static_cast<double>(zero_count_.value);
      fill(made->positive, std::span(integers_).first(positive));
      fill(made->negative, std::span(integers_).subspan(positive));
    } else {
      made->count = float_count_.value;
      made->zero_count = float_zero_count_.value;
      fill(made->positive, std::span(floats_).first(positive));
      fill(made->negative, std::span(floats_).subspan(positive));
    }
    return made;
  }

 private:
  void read_integers(std::size_t sample) {
    if (sample == 0) {
      time_.value = static_cast<std::uint64_t>(in_.varbit_int());
      count_.value = in_.varbit_uint();
      zero_count_.value = in_.varbit_uint();
      sum_.value = in_.float64();
      if (stale()) return;
      for (IntegerColumn& bucket : integers_) bucket.value = static_cast<std::uint64_t>(in_.varbit_int());
      return;
    }
    time_.read(in_, sample);
    count_.read(in_, sample);
    zero_count_.read(in_, sample);
    sum_.read(in_);
    if (stale()) return;
    for (IntegerColumn& bucket : integers_) bucket.read(in_, sample);
  }

  void read_floats(std::size_t sample) {
    const auto next = [&](XorColumn& column) {
      if (sample == 0) {
        column.value = in_.float64();
      } else {
        column.read(in_);
      }
    };
    if (sample == 0) {
      time_.value = static_cast<std::uint64_t>(in_.varbit_int());
    } else {
      time_.read(in_, sample);
    }
    next(float_count_);
    next(float_zero_count_);
    next(sum_);
    if (stale()) return;
    for (XorColumn& bucket : floats_) next(bucket);
  }

  BitReader& in_;
  Histogram layout_;
  bool integer_;
  IntegerColumn time_;
  IntegerColumn count_;
  IntegerColumn zero_count_;
  XorColumn sum_;
  XorColumn float_count_;
  XorColumn float_zero_count_;
  std::vector<IntegerColumn> integers_;
  std::vector<XorColumn> floats_;
};

bool counts_up_to(const std::vector<double>& before, const std::vector<double>& after) {
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!(after[i] >= before[i])) return false;
  }
  return true;
}

bool same_layout(const Histogram& a, const Histogram& b) {
  return a.schema == b.schema && a.zero_threshold == b.zero_threshold && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans && a.custom_bounds == b.custom_bounds;
}

// Same layout taken for granted.
bool counts_on(const Histogram& before, const Histogram& after) {
  return after.count >= before.count && after.zero_count >= before.zero_count &&
         counts_up_to(before.positive, after.positive) && counts_up_to(before.negative, after.negative);
}

// Modulo 2^64: times may lie anywhere.
std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

bool exact(double value) {
  return value >= 0 && value <= kExactMax && value == std::floor(value);
}

// What says of itself that it has integers may come from anywhere.
Encoding encoding_of(const Histogram& histogram) {
  bool whole = histogram.is_integer && exact(histogram.count) && exact(histogram.zero_count);
  for (const double count : histogram.positive) whole = whole && exact(count);
  for (const double count : histogram.negative) whole = whole && exact(count);
  return whole ? Encoding::kHistogram : Encoding::kFloatHistogram;
}

}  // namespace

base::Status decode_histograms(Encoding encoding, std::span<const std::byte> bytes, TimestampMs from_ms,
                               TimestampMs to_ms, Columns& out) {
  BitReader in(bytes);
  const auto count = static_cast<std::size_t>(in.bits(16));
  if (count == 0) return {};
  QD_ASSIGN(Histogram layout, read_layout(in));
  Decoder decoder(in, std::move(layout), encoding == Encoding::kHistogram);
  for (std::size_t i = 0; i < count; ++i) {
    const TimestampMs before = decoder.time_ms();
    decoder.read(i);
    if (!in.ok())
      return base::fail(ErrorCode::kCorrupt, fmt::format("a chunk of histograms ends in its sample {}", i + 1));
    const TimestampMs time_ms = decoder.time_ms();
    if (i > 0 && time_ms <= before) {
      return base::fail(ErrorCode::kCorrupt,
                        fmt::format("the time of sample {} of a chunk of histograms does not rise", i + 1));
    }
    if (time_ms > to_ms) break;
    if (time_ms < from_ms) continue;
    if (decoder.stale()) {
      add_sample(out, time_ms, model::stale_nan());
    } else {
      add_sample(out, time_ms, std::bit_cast<double>(model::kNormalNanBits), decoder.histogram(i));
    }
  }
  return {};
}

bool HistogramEncoder::fits(const Histogram& histogram) const {
  if (samples_ == 0) return true;
  const bool gauge = histogram.reset == CounterReset::kGauge;
  if (gauge != (last_.reset == CounterReset::kGauge) || encoding_of(histogram) != encoding_) return false;
  if (!same_layout(last_, histogram)) return false;
  return gauge || (histogram.reset != CounterReset::kReset && counts_on(last_, histogram));
}

void HistogramEncoder::write_layout(const Histogram& histogram) {
  std::uint8_t flags = 0;
  if (histogram.reset == CounterReset::kGauge) {
    flags = kGaugeFlag;
  } else if (histogram.reset == CounterReset::kReset) {
    flags = kResetFlag;
  } else if (any_before_ && last_.reset != CounterReset::kGauge && same_layout(last_, histogram)) {
    flags = counts_on(last_, histogram) ? kNotResetFlag : kResetFlag;
  } else if (histogram.reset == CounterReset::kNotReset) {
    flags = kNotResetFlag;
  }
  out_.bits(0, 16);
  out_.bits(flags, 8);
  write_threshold(out_, histogram.zero_threshold);
  out_.varbit_int(histogram.schema);
  write_spans(out_, histogram.positive_spans);
  write_spans(out_, histogram.negative_spans);
  if (histogram.schema == model::kCustomBounds) write_bounds(out_, histogram.custom_bounds);
}

void HistogramEncoder::write_integers(TimestampMs time_ms, const Histogram& histogram) {
  const auto whole = [](double value) { return static_cast<std::int64_t>(value); };
  const auto next = [this](Number& number, std::int64_t value) {
    const std::int64_t delta = difference(value, number.value);
    out_.varbit_int(samples_ == 1 ? delta : difference(delta, number.delta));
    number = {.value = value, .delta = delta};
  };
  if (samples_ == 0) {
    time_.value = time_ms;
    count_.value = whole(histogram.count);
    zero_count_.value = whole(histogram.zero_count);
    out_.varbit_int(time_ms);
    out_.varbit_uint(static_cast<std::uint64_t>(count_.value));
    out_.varbit_uint(static_cast<std::uint64_t>(zero_count_.value));
    out_.float64(histogram.sum);
    sum_.value = histogram.sum;
  } else {
    next(time_, time_ms);
    next(count_, whole(histogram.count));
    next(zero_count_, whole(histogram.zero_count));
    sum_.write(out_, histogram.sum);
  }
  std::size_t at = 0;
  for (const auto* side : {&histogram.positive, &histogram.negative}) {
    std::int64_t before = 0;
    for (const double count : *side) {
      const std::int64_t more = whole(count) - before;
      before = whole(count);
      if (samples_ == 0) {
        out_.varbit_int(more);
        buckets_.push_back({.value = more});
      } else {
        next(buckets_[at++], more);
      }
    }
  }
}

void HistogramEncoder::write_floats(TimestampMs time_ms, const Histogram& histogram) {
  const auto next = [this](XorColumn& column, double value) {
    if (samples_ > 0) return column.write(out_, value);
    out_.float64(value);
    column.value = value;
  };
  if (samples_ == 0) {
    out_.varbit_int(time_ms);
    time_.value = time_ms;
    float_buckets_.resize(histogram.positive.size() + histogram.negative.size());
  } else {
    const std::int64_t delta = difference(time_ms, time_.value);
    out_.varbit_int(samples_ == 1 ? delta : difference(delta, time_.delta));
    time_ = {.value = time_ms, .delta = delta};
  }
  next(float_count_, histogram.count);
  next(float_zero_count_, histogram.zero_count);
  next(sum_, histogram.sum);
  std::size_t at = 0;
  for (const double count : histogram.positive) next(float_buckets_[at++], count);
  for (const double count : histogram.negative) next(float_buckets_[at++], count);
}

void HistogramEncoder::add(TimestampMs time_ms, const Histogram& histogram) {
  if (samples_ == 0) {
    encoding_ = encoding_of(histogram);
    min_ms_ = time_ms;
    write_layout(histogram);
  }
  if (encoding_ == Encoding::kHistogram) {
    write_integers(time_ms, histogram);
  } else {
    write_floats(time_ms, histogram);
  }
  time_.value = time_ms;
  last_ = histogram;
  any_before_ = true;
  out_.set_count(++samples_);
}

EncodedChunk HistogramEncoder::finish() {
  EncodedChunk chunk{.min_ms = min_ms_,
                     .max_ms = time_.value,
                     .encoding = encoding_,
                     .samples = samples_,
                     .bytes = std::move(out_.bytes())};
  HistogramEncoder fresh;
  fresh.last_ = std::move(last_);
  fresh.any_before_ = true;
  *this = std::move(fresh);
  return chunk;
}

}  // namespace qd::store::prometheus
