// Bytes of a block of n histograms:
//
//   u8      6
//   u8      bit 0: all counts are integers
//   svarint schema
//   f64     zero threshold
//   varint  how many custom bounds, f64 each
//   varint  how many layouts, 1 to 64, at most n; each: spans of the positive side, spans of the negative (spans:
//           varint how many, then for each svarint offset, varint length)
//   with more than one layout: runs until all n have theirs: varint layout, varint length, at least 1
//   column  of the reset + 4 * is_integer
//   varint  size of a block of values, and it: the sums
//   integers:
//     bits  one a column, the lowest of each byte first: set where the column does not change
//     for each column svarint of its value (where the bit is set), else an integer column:
//       count less everything in buckets, zero bucket, buckets of the positive side, buckets of the negative
//   others: the same columns, with the count itself first, each as varint size and a block of values
//
// The columns of a side are the buckets that any layout has, in order of their index; a histogram whose layout has no
// such bucket has 0 there.
#include "store/metrics/codec_histogram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/metrics/codec_ints.h"
#include "store/metrics/histogram_bytes.h"

namespace qd::store::metrics {
namespace {

using model::BucketSpan;
using model::Histogram;
using model::HistogramPtr;

constexpr unsigned kIntegers = 1;
constexpr std::size_t kLayoutsMax = 64;
constexpr std::int64_t kIntegerFlag = 4;
// Count and zero bucket.
constexpr std::size_t kColumnsBefore = 2;

struct Layout {
  std::vector<BucketSpan> positive;
  std::vector<BucketSpan> negative;
};

// The indices of a side's buckets, rising.
std::vector<std::int32_t> indices_of(const std::vector<BucketSpan>& spans) {
  std::vector<std::int32_t> indices;
  std::int64_t at = 0;
  for (const BucketSpan& span : spans) {
    at += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i) indices.push_back(static_cast<std::int32_t>(at++));
  }
  return indices;
}

void unite(std::vector<std::int32_t>& all, const std::vector<std::int32_t>& more) {
  if (all.empty()) {
    all = more;
    return;
  }
  if (std::ranges::includes(all, more)) return;
  std::vector<std::int32_t> both;
  both.reserve(all.size() + more.size());
  std::ranges::set_union(all, more, std::back_inserter(both));
  all = std::move(both);
}

// Where each of `indices` stands in `all`, which has them.
std::vector<std::uint32_t> places_in(const std::vector<std::int32_t>& all, const std::vector<std::int32_t>& indices) {
  std::vector<std::uint32_t> places;
  places.reserve(indices.size());
  std::size_t at = 0;
  for (const std::int32_t index : indices) {
    while (all[at] != index) ++at;
    places.push_back(static_cast<std::uint32_t>(at));
  }
  return places;
}

bool same_family(const Histogram& a, const Histogram& b) {
  const auto same_bits = [](double x, double y) {
    return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
  };
  return a.schema == b.schema && same_bits(a.zero_threshold, b.zero_threshold) &&
         std::ranges::equal(a.custom_bounds, b.custom_bounds, same_bits);
}

// Which layouts a block has, who has which, and the columns that come of it.
struct Columnar {
  std::vector<const Histogram*> layouts;  // the first one of each
  std::vector<std::uint32_t> layout_of;   // by histogram
  std::vector<std::int32_t> positive;     // indices of the columns
  std::vector<std::int32_t> negative;

  // False when the block takes no such further histogram.
  bool add(const Histogram& histogram) {
    const auto same = [&](const Histogram* other) {
      return other->positive_spans == histogram.positive_spans && other->negative_spans == histogram.negative_spans;
    };
    const bool as_before = !layout_of.empty() && same(layouts[layout_of.back()]);
    const std::size_t layout =
        as_before ? layout_of.back() : static_cast<std::size_t>(std::ranges::find_if(layouts, same) - layouts.begin());
    if (layout == layouts.size()) {
      if (layouts.size() == kLayoutsMax) return false;
      std::vector<std::int32_t> with_positive = positive;
      std::vector<std::int32_t> with_negative = negative;
      unite(with_positive, indices_of(histogram.positive_spans));
      unite(with_negative, indices_of(histogram.negative_spans));
      spans = std::max(spans, histogram.positive_spans.size() + histogram.negative_spans.size());
      if (!room(with_positive.size() + with_negative.size(), histogram)) return false;
      positive = std::move(with_positive);
      negative = std::move(with_negative);
      layouts.push_back(&histogram);
    } else if (!room(positive.size() + negative.size(), histogram)) {
      return false;
    }
    layout_of.push_back(static_cast<std::uint32_t>(layout));
    return true;
  }

  std::size_t spans = 0;  // of the layout that has the most

 private:
  bool room(std::size_t buckets, const Histogram& histogram) const {
    const std::size_t samples = layout_of.size() + 1;
    return samples == 1 || samples * (buckets + spans + histogram.custom_bounds.size()) <= kHistogramCellsMax;
  }
};

std::unexpected<base::Error> damaged() {
  return base::fail(base::ErrorCode::kCorrupt, "a block of histograms does not read as one");
}

}  // namespace

struct HistogramEncoder::Scratch {
  IntsEncoder ints;
  BlockEncoder values;
  std::vector<std::int64_t> column;
  std::vector<double> doubles;
  std::string block;
  std::string columns;

  void put_values(bool compress, std::string& out) {
    block.clear();
    values.encode_values(doubles, compress, block);
    base::ByteWriter(out).text(block);
  }
  // One column of every `count` of each histogram.
  void put_integers(std::string& out, std::size_t at, std::size_t bits_at) {
    if (std::ranges::all_of(column, [&](std::int64_t value) { return value == column.front(); })) {
      out[bits_at + at / 8] = static_cast<char>(static_cast<unsigned char>(out[bits_at + at / 8]) | 1U << at % 8);
      base::ByteWriter(out).signed_varint(column.front());
      return;
    }
    ints.encode(column, IntsEncoder::For::kValues, out);
  }
};

HistogramEncoder::HistogramEncoder() : scratch_(std::make_unique<Scratch>()) {}
HistogramEncoder::~HistogramEncoder() = default;

std::size_t HistogramEncoder::fitting(std::span<const HistogramPtr> histograms) {
  Columnar columnar;
  std::size_t n = 0;
  while (n < std::min(histograms.size(), kBlockSamplesMax) && same_family(*histograms.front(), *histograms[n]) &&
         columnar.add(*histograms[n])) {
    ++n;
  }
  return n;
}

void HistogramEncoder::encode(std::span<const HistogramPtr> histograms, bool compress, std::string& out) {
  Scratch& s = *scratch_;
  Columnar columnar;
  for (const HistogramPtr& histogram : histograms) {
    const bool fits = columnar.add(*histogram);
    QD_ASSERT(fits);
  }
  const std::size_t n = histograms.size();
  const Histogram& first = *histograms.front();
  const bool integers = std::ranges::all_of(histograms, [](const auto& h) { return has_integer_counts(*h); });
  base::ByteWriter writer(out);
  writer.fixed(kHistogramBlockHead);
  writer.fixed(static_cast<std::uint8_t>(integers ? kIntegers : 0U));
  writer.signed_varint(first.schema);
  writer.fixed(first.zero_threshold);
  writer.varint(first.custom_bounds.size());
  for (const double bound : first.custom_bounds) writer.fixed(bound);
  writer.varint(columnar.layouts.size());
  for (const Histogram* const layout : columnar.layouts) {
    encode_spans(layout->positive_spans, out);
    encode_spans(layout->negative_spans, out);
  }
  if (columnar.layouts.size() > 1) {
    for (std::size_t i = 0; i < n;) {
      std::size_t run = 1;
      while (i + run < n && columnar.layout_of[i + run] == columnar.layout_of[i]) ++run;
      writer.varint(columnar.layout_of[i]);
      writer.varint(run);
      i += run;
    }
  }
  s.column.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    s.column[i] = static_cast<std::int64_t>(histograms[i]->reset) + (histograms[i]->is_integer ? kIntegerFlag : 0);
  }
  s.ints.encode(s.column, IntsEncoder::For::kValues, out);
  s.doubles.resize(n);
  for (std::size_t i = 0; i < n; ++i) s.doubles[i] = histograms[i]->sum;
  s.put_values(compress, out);

  struct Side {
    const std::vector<std::int32_t>& columns;
    std::vector<BucketSpan> Histogram::* spans;
    std::vector<double> Histogram::* counts;
  };
  const std::array<Side, 2> sides = {
      Side{columnar.positive, &Histogram::positive_spans, &Histogram::positive},
      Side{columnar.negative, &Histogram::negative_spans, &Histogram::negative},
  };
  const std::size_t columns = kColumnsBefore + columnar.positive.size() + columnar.negative.size();
  const std::size_t bits_at = out.size();
  if (integers) out.append((columns + 7) / 8, '\0');
  std::size_t at = 0;
  const auto put_column = [&] {
    if (integers) {
      s.put_integers(out, at, bits_at);
    } else {
      s.put_values(compress, out);
    }
    ++at;
  };
  for (std::size_t i = 0; i < n; ++i) {
    s.column[i] = integers ? static_cast<std::int64_t>(count_outside(*histograms[i])) : 0;
    s.doubles[i] = histograms[i]->count;
  }
  put_column();
  for (std::size_t i = 0; i < n; ++i) {
    s.column[i] = integers ? static_cast<std::int64_t>(histograms[i]->zero_count) : 0;
    s.doubles[i] = histograms[i]->zero_count;
  }
  put_column();
  for (const Side& side : sides) {
    // For each layout, which of its buckets stands in a column; none where it has none.
    constexpr std::uint32_t kNone = UINT32_MAX;
    std::vector<std::vector<std::uint32_t>> buckets(columnar.layouts.size());
    for (std::size_t layout = 0; layout < buckets.size(); ++layout) {
      buckets[layout].assign(side.columns.size(), kNone);
      const auto places = places_in(side.columns, indices_of(columnar.layouts[layout]->*side.spans));
      for (std::uint32_t i = 0; i < places.size(); ++i) buckets[layout][places[i]] = i;
    }
    for (std::size_t column = 0; column < side.columns.size(); ++column) {
      for (std::size_t i = 0; i < n; ++i) {
        const std::uint32_t bucket = buckets[columnar.layout_of[i]][column];
        const double count = bucket == kNone ? 0 : ((*histograms[i]).*side.counts)[bucket];
        s.doubles[i] = count;
        if (integers) s.column[i] = static_cast<std::int64_t>(count);
      }
      put_column();
    }
  }
}

bool is_histogram_block(std::span<const std::byte> block) {
  return !block.empty() && std::to_integer<unsigned>(block[0]) == kHistogramBlockHead;
}

namespace {

// A block taken apart; all of it, since columns are as they are.
class HistogramBlock {
 public:
  HistogramBlock(std::span<const std::byte> block, std::size_t samples) : in_(block), samples_(samples) {}

  bool read() {
    const unsigned head = in_.fixed<std::uint8_t>();
    const unsigned flags = in_.fixed<std::uint8_t>();
    const std::int64_t schema = in_.signed_varint();
    common_.zero_threshold = in_.fixed<double>();
    const std::uint64_t bounds = in_.varint();
    if (!in_.ok() || head != kHistogramBlockHead || flags > kIntegers || !is_schema(schema)) return false;
    if (bounds > model::kHistogramBucketsMax || bounds > in_.remaining() / sizeof(double)) return false;
    if (bounds > 0 && schema != model::kCustomBounds) return false;
    integers_ = flags == kIntegers;
    common_.schema = static_cast<std::int32_t>(schema);
    common_.custom_bounds.resize(bounds);
    for (double& bound : common_.custom_bounds) bound = in_.fixed<double>();
    return read_layouts() && read_meta() && read_cells() && in_.ok() && in_.at_end();
  }

  HistogramPtr make(std::size_t i) const {
    auto made = std::make_shared<Histogram>(common_);
    made->reset = static_cast<model::CounterReset>(meta_[i] & (kIntegerFlag - 1));
    made->is_integer = (meta_[i] & kIntegerFlag) != 0;
    made->sum = sums_[i];
    made->zero_count = cell(1, i);
    const Layout& layout = layouts_[layout_of_[i]];
    const Places& places = places_[layout_of_[i]];
    made->positive_spans = layout.positive;
    made->negative_spans = layout.negative;
    take(places.positive, i, made->positive);
    take(places.negative, i, made->negative);
    made->count = cell(0, i);
    if (integers_) made->count = count_of(*made, cells_[i]);
    return made;
  }

 private:
  struct Places {
    std::vector<std::uint32_t> positive;  // columns
    std::vector<std::uint32_t> negative;
  };

  bool read_layouts() {
    const std::uint64_t count = in_.varint();
    if (!in_.ok() || count == 0 || count > kLayoutsMax || count > samples_) return false;
    layouts_.resize(count);
    std::vector<std::pair<std::vector<std::int32_t>, std::vector<std::int32_t>>> indices;
    for (Layout& layout : layouts_) {
      std::size_t positive = 0;
      std::size_t negative = 0;
      if (!decode_spans(in_, model::kHistogramBucketsMax, layout.positive, positive) ||
          !decode_spans(in_, model::kHistogramBucketsMax, layout.negative, negative) ||
          !bounded(positive + negative + layout.positive.size() + layout.negative.size())) {
        return false;
      }
      indices.emplace_back(indices_of(layout.positive), indices_of(layout.negative));
    }
    std::vector<std::int32_t> positive;
    std::vector<std::int32_t> negative;
    for (const auto& [its_positive, its_negative] : indices) {
      unite(positive, its_positive);
      unite(negative, its_negative);
    }
    columns_ = kColumnsBefore + positive.size() + negative.size();
    if (!bounded(positive.size() + negative.size())) return false;
    for (const auto& [its_positive, its_negative] : indices) {
      Places& places = places_.emplace_back();
      places.positive = places_in(positive, its_positive);
      places.negative = places_in(negative, its_negative);
      for (std::uint32_t& place : places.positive) place += kColumnsBefore;
      for (std::uint32_t& place : places.negative)
        place += static_cast<std::uint32_t>(kColumnsBefore + positive.size());
    }
    if (count == 1) {
      layout_of_.assign(samples_, 0);
      return true;
    }
    while (layout_of_.size() < samples_) {
      const std::uint64_t layout = in_.varint();
      const std::uint64_t run = in_.varint();
      if (!in_.ok() || layout >= count || run == 0 || run > samples_ - layout_of_.size()) return false;
      layout_of_.insert(layout_of_.end(), run, static_cast<std::uint32_t>(layout));
    }
    return true;
  }

  bool read_meta() {
    meta_.resize(samples_);
    if (!decode_ints(in_, meta_)) return false;
    if (std::ranges::any_of(meta_, [](std::int64_t meta) { return meta < 0 || meta >= 2 * kIntegerFlag; }))
      return false;
    sums_.resize(samples_);
    return read_values(sums_);
  }

  bool read_values(std::span<double> values) {
    const auto block = base::as_bytes(in_.text());
    return in_.ok() && !is_histogram_block(block) && decode_values(block, values).has_value();
  }

  bool read_cells() {
    if (!integers_) {
      values_.resize(columns_ * samples_);
      for (std::size_t c = 0; c < columns_; ++c) {
        if (!read_values(std::span(values_).subspan(c * samples_, samples_))) return false;
      }
      return true;
    }
    cells_.resize(columns_ * samples_);
    const auto constant = in_.raw((columns_ + 7) / 8);
    if (!in_.ok()) return false;
    for (std::size_t c = 0; c < columns_; ++c) {
      const auto column = std::span(cells_).subspan(c * samples_, samples_);
      if ((std::to_integer<unsigned>(constant[c / 8]) >> c % 8 & 1U) != 0) {
        std::ranges::fill(column, in_.signed_varint());
      } else if (!decode_ints(in_, column)) {
        return false;
      }
      // The first is what is in no bucket: it may be less than nothing where counts of fractions are.
      if (c > 0 && std::ranges::any_of(column, [](std::int64_t count) { return count < 0; })) return false;
    }
    return in_.ok();
  }

  bool bounded(std::size_t cells) const {
    return samples_ == 1 || samples_ * (cells + common_.custom_bounds.size()) <= kHistogramCellsMax;
  }

  double cell(std::size_t column, std::size_t i) const {
    const std::size_t at = column * samples_ + i;
    return integers_ ? static_cast<double>(cells_[at]) : values_[at];
  }
  void take(const std::vector<std::uint32_t>& columns, std::size_t i, std::vector<double>& counts) const {
    counts.resize(columns.size());
    for (std::size_t k = 0; k < columns.size(); ++k) counts[k] = cell(columns[k], i);
  }
  static double count_of(const Histogram& histogram, std::int64_t outside) {
    std::uint64_t count = static_cast<std::uint64_t>(outside) + static_cast<std::uint64_t>(histogram.zero_count);
    for (const double in_bucket : histogram.positive) count += static_cast<std::uint64_t>(in_bucket);
    for (const double in_bucket : histogram.negative) count += static_cast<std::uint64_t>(in_bucket);
    return static_cast<double>(count);
  }

  base::ByteReader in_;
  const std::size_t samples_;
  bool integers_ = false;
  Histogram common_;
  std::vector<Layout> layouts_;
  std::vector<Places> places_;
  std::vector<std::uint32_t> layout_of_;
  std::size_t columns_ = 0;
  std::vector<std::int64_t> meta_;
  std::vector<double> sums_;
  std::vector<std::int64_t> cells_;
  std::vector<double> values_;
};

}  // namespace

base::Status decode_histograms(std::span<const std::byte> block, std::size_t samples, std::size_t first,
                               std::size_t count, std::vector<HistogramPtr>& out) {
  QD_ASSERT(samples > 0 && samples <= kBlockSamplesMax && first + count <= samples);
  HistogramBlock histograms(block, samples);
  if (!histograms.read()) return damaged();
  out.reserve(out.size() + count);
  for (std::size_t i = first; i < first + count; ++i) out.push_back(histograms.make(i));
  return {};
}

}  // namespace qd::store::metrics
