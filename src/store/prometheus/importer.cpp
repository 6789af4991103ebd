#include "store/prometheus/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "model/exposition/parser.h"
#include "store/metrics/merge_plan.h"
#include "store/metrics/segment_writer.h"
#include "store/metrics/tombstones.h"
#include "store/prometheus/chunk.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using metrics::Columns;
using metrics::SeriesSet;
using model::LabelSet;
using model::TimestampMs;

constexpr std::size_t kAllSeries = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kSeriesPerLook = 256;
constexpr std::size_t kLinesPerTick = 16 << 10;
constexpr std::string_view kSegmentSuffix = ".seg";
// Of a text, packed; what is more becomes segments of its own.
constexpr std::size_t kGatheredBytesMax = 512 << 20;
constexpr std::size_t kSeriesBytes = 400;  // what one takes beside its chunks
constexpr std::size_t kTombstoneBytesMax = 1 << 30;

std::filesystem::path segment_dir(const std::filesystem::path& dir) {
  return dir / "segments";
}

// The widest window in which the store merges.
std::int64_t window_of(const metrics::StoreOptions& options) {
  return metrics::late_window_ms(options.seal_interval_ms, options.retention_ms,
                                 std::numeric_limits<std::int64_t>::max());
}

base::Status cancelled() {
  return base::fail(ErrorCode::kCancelled, "the import was stopped: nothing was imported");
}

}  // namespace

// The samples of a text, packed, series by series.
class Importer::Gathered final : public SeriesSet {
 public:
  void add(const LabelSet& labels, TimestampMs time_ms, double value) { add(row_of(labels), time_ms, value); }
  std::size_t row_of(const LabelSet& labels) {
    const auto [found, is_new] = rows_by_labels_.try_emplace(labels, rows_.size());
    if (is_new) {
      rows_.push_back({.labels = labels});
      bytes_ += kSeriesBytes;
    }
    return found->second;
  }
  void add(std::size_t row, TimestampMs time_ms, double value) {
    Row& to = rows_[row];
    if (to.open.size() > 0 && (to.open.size() == kChunkSamples || time_ms <= to.open.max_ms())) close(to);
    to.open.add(time_ms, value);
    reach_.min_ms = std::min(reach_.min_ms, time_ms);
    reach_.max_ms = std::max(reach_.max_ms, time_ms);
  }

  // What it holds can be read now, and nothing more added.
  void finish() {
    for (Row& row : rows_) {
      if (row.open.size() > 0) close(row);
    }
    rows_by_labels_ = {};
    std::ranges::sort(rows_, {}, &Row::labels);
  }
  std::size_t bytes() const { return bytes_; }
  const Interval& reach() const { return reach_; }

  std::size_t size() const override { return rows_.size(); }
  const LabelSet& labels(std::size_t i) const override { return rows_[i].labels; }
  base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const override {
    out.clear();
    // Of two lines of one time the later one counts: it comes first here, and sorting keeps that.
    for (auto chunk = rows_[i].chunks.rbegin(); chunk != rows_[i].chunks.rend(); ++chunk) {
      if (chunk->max_ms < from_ms || chunk->min_ms > to_ms) continue;
      QD_TRY(
          decode_chunk(static_cast<std::uint8_t>(chunk->encoding), base::as_bytes(chunk->bytes), from_ms, to_ms, out));
    }
    sort_columns(out);
    return {};
  }

 private:
  struct Row {
    LabelSet labels;
    std::vector<EncodedChunk> chunks;
    XorEncoder open;
  };

  void close(Row& row) {
    EncodedChunk chunk = row.open.finish();
    chunk.bytes.shrink_to_fit();
    bytes_ += sizeof chunk + chunk.bytes.size();
    row.chunks.push_back(std::move(chunk));
  }

  std::unordered_map<LabelSet, std::size_t> rows_by_labels_;
  std::vector<Row> rows_;
  std::size_t bytes_ = 0;
  Interval reach_{.min_ms = model::kMaxTimestampMs, .max_ms = model::kMinTimestampMs};
};

base::Result<std::unique_ptr<Importer>> Importer::create(base::Files& files, const std::filesystem::path& dir,
                                                         const metrics::StoreOptions& options) {
  std::unique_ptr<Importer> importer(new Importer(files, dir, window_of(options)));
  QD_ASSIGN(auto manifest, metrics::Manifest::read(files, dir / "MANIFEST"));
  if (!manifest) return base::fail(ErrorCode::kNotFound, fmt::format("{} holds no metrics store", dir.native()));
  importer->manifest_ = std::move(*manifest);
  QD_ASSIGN(const auto there, metrics::list_numbered(files, segment_dir(dir), kSegmentSuffix));
  for (const std::uint64_t number : there) importer->next_ = std::max(importer->next_, number + 1);
  for (const std::uint64_t number : importer->manifest_.segments)
    importer->next_ = std::max(importer->next_, number + 1);
  // What was deleted before was in segments of lower numbers: it does not hide what is imported now.
  for (const std::uint64_t number : importer->manifest_.tombstones) {
    const auto path = metrics::numbered(dir / "tombstones", number, ".tomb");
    QD_ASSIGN(const auto bytes, base::read_file(files, path, kTombstoneBytesMax));
    QD_ASSIGN(const auto tombstone, metrics::decode_tombstone(base::as_bytes(bytes), number, path));
    importer->next_ = std::max(importer->next_, tombstone.segments_before);
  }
  return importer;
}

Importer::~Importer() {
  if (committed_) return;
  for (const std::uint64_t number : written_) {
    // Nothing names it: what stays now goes when the store is opened next.
    static_cast<void>(files_.remove(metrics::numbered(segment_dir(dir_), number, kSegmentSuffix)));
  }
}

base::Status Importer::add_windows(const Interval& reach, const Select& select, const Tick& tick) {
  if (reach.min_ms > reach.max_ms) return {};
  Columns columns;
  const double whole = static_cast<double>(reach.max_ms) - static_cast<double>(reach.min_ms) + 1;
  for (TimestampMs begin = metrics::window_start(reach.min_ms, window_ms_);; begin += window_ms_) {
    const Interval window{.min_ms = std::max(begin, reach.min_ms),
                          .max_ms = std::min(begin + window_ms_ - 1, reach.max_ms)};
    QD_ASSIGN(const auto set, select(window));
    std::unique_ptr<metrics::SegmentWriter> writer;
    for (std::size_t i = 0; i < set->size(); ++i) {
      if (i % kSeriesPerLook == 0) {
        const double within = static_cast<double>(i) / static_cast<double>(set->size());
        const double at = static_cast<double>(window.min_ms) - static_cast<double>(reach.min_ms) +
                          within * (static_cast<double>(window.max_ms) - static_cast<double>(window.min_ms));
        if (!tick({.part = at / whole, .series = report_.series, .samples = report_.samples})) return cancelled();
      }
      QD_TRY(set->read(i, window.min_ms, window.max_ms, columns));
      if (columns.times.empty()) continue;
      if (writer == nullptr) {
        written_.push_back(next_++);
        QD_ASSIGN(writer, metrics::SegmentWriter::create(
                              files_, metrics::numbered(segment_dir(dir_), written_.back(), kSegmentSuffix),
                              {.level = metrics::kLateLevel}));
      }
      QD_TRY(writer->add(set->labels(i),
                         {.times = columns.times, .values = columns.values, .histograms = columns.histograms}));
    }
    if (writer != nullptr) {
      QD_ASSIGN(const metrics::SegmentInfo info, writer->finish());
      ++report_.segments;
      report_.series += info.series;
      report_.samples += info.samples;
      report_.bytes += info.bytes;
      report_.min_ms = std::min(report_.min_ms, info.min_ms);
      report_.max_ms = std::max(report_.max_ms, info.max_ms);
    }
    if (begin + (window_ms_ - 1) >= reach.max_ms) return {};
  }
}

base::Status Importer::add(const metrics::Querier& querier, const Interval& reach, const Tick& tick) {
  const auto select = [&](const Interval& window) -> base::Result<std::shared_ptr<const SeriesSet>> {
    QD_ASSIGN(auto set, querier.select({}, window.min_ms, window.max_ms, kAllSeries));
    return std::shared_ptr<const SeriesSet>(std::move(set));
  };
  return add_windows(reach, select, tick);
}

base::Status Importer::add_openmetrics(std::string_view text, const Tick& tick) {
  using model::exposition::Event;
  const Tick silently = [&](const Progress& progress) {
    return tick({.part = -1, .series = progress.series, .samples = progress.samples});
  };
  auto gathered = std::make_shared<Gathered>();
  const auto write = [&]() -> base::Status {
    gathered->finish();
    const auto select = [&](const Interval&) -> base::Result<std::shared_ptr<const SeriesSet>> { return gathered; };
    QD_TRY(add_windows(gathered->reach(), select, silently));
    gathered = std::make_shared<Gathered>();
    return {};
  };
  // As promtool reads it: lines must be right, families need not be.
  model::exposition::Parser parser(text, model::exposition::Format::kOpenMetrics, model::exposition::Check::kLines);
  std::string last;
  std::size_t row = 0;
  bool known = false;
  std::uint64_t lines = 0;
  while (true) {
    QD_ASSIGN(const Event event, parser.next(last));
    if (event == Event::kEof) break;
    if (event != Event::kSeries) continue;
    if (!parser.timestamp_ms()) {
      return base::fail(
          ErrorCode::kInvalid,
          fmt::format("the sample {} has no time: what is imported must say when it was", parser.series()));
    }
    if (!known || !parser.as_expected()) {
      const auto labels = parser.labels();
      row = gathered->row_of(LabelSet::from({labels.begin(), labels.end()}));
      last = parser.series();
      known = true;
    }
    gathered->add(row, *parser.timestamp_ms(), parser.value());
    if (++lines % kLinesPerTick == 0) {
      const double part = static_cast<double>(parser.series().data() - text.data()) / static_cast<double>(text.size());
      if (!tick({.part = part, .series = gathered->size(), .samples = lines})) return cancelled();
      if (gathered->bytes() > kGatheredBytesMax) {
        QD_TRY(write());
        known = false;
      }
    }
  }
  return write();
}

base::Result<ImportReport> Importer::commit() {
  QD_ASSERT(!committed_);
  manifest_.segments.insert(manifest_.segments.end(), written_.begin(), written_.end());
  std::ranges::sort(manifest_.segments);
  // Whether it was written when writing it fails is not known: the files stay then, and a manifest that does not name
  // them has them removed.
  committed_ = true;
  QD_TRY(manifest_.write(files_, dir_ / "MANIFEST"));
  return report_;
}

}  // namespace qd::store::prometheus
