#include "store/prometheus/exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "model/exposition/writer.h"
#include "store/prometheus/block_writer.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using metrics::Columns;
using metrics::Matcher;
using model::TimestampMs;

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kTextWriteBytes = 1 << 20;
// So often how far it is may be told.
constexpr std::size_t kSeriesPerTick = 256;

base::Status cancelled(std::string_view what) {
  return base::fail(ErrorCode::kCancelled, fmt::format("{} was stopped", what));
}

TimestampMs floor_to(TimestampMs time_ms, std::int64_t width_ms) {
  const std::int64_t into = time_ms % width_ms;
  return time_ms - (into < 0 ? into + width_ms : into);
}

double part_of(const Interval& reach, TimestampMs at_ms) {
  const double whole = static_cast<double>(reach.max_ms) - static_cast<double>(reach.min_ms) + 1;
  return std::clamp((static_cast<double>(at_ms) - static_cast<double>(reach.min_ms)) / whole, 0.0, 1.0);
}

}  // namespace

base::Result<ExportReport> export_blocks(base::Files& files, const metrics::Querier& querier,
                                         const std::filesystem::path& out, const ExportOptions& options,
                                         std::mt19937_64& random, const Tick& tick) {
  ExportReport report;
  if (options.block_ms <= 0 || options.block_ms % kBlockMs != 0)
    return base::fail(ErrorCode::kInvalid, "the length of a block must be a multiple of two hours");
  if (options.reach.min_ms > options.reach.max_ms) return report;
  QD_TRY(files.create_directories(out));
  // promtool 2.42 dumps no folder without one.
  QD_TRY(files.create_directories(out / "wal"));
  Columns columns;
  for (TimestampMs begin = floor_to(options.reach.min_ms, options.block_ms);; begin += options.block_ms) {
    const TimestampMs end = begin + options.block_ms;
    const TimestampMs from_ms = std::max(begin, options.reach.min_ms);
    const TimestampMs to_ms = std::min(end - 1, options.reach.max_ms);
    QD_ASSIGN(const auto set, querier.select({}, from_ms, to_ms, kNoLimit));
    std::unique_ptr<BlockWriter> writer;
    for (std::size_t i = 0; i < set->size(); ++i) {
      if (i % kSeriesPerTick == 0) {
        const double within = static_cast<double>(i) / static_cast<double>(set->size());
        const double part =
            part_of(options.reach, begin + static_cast<TimestampMs>(within * static_cast<double>(options.block_ms)));
        if (!tick({.part = part, .series = report.series, .samples = report.samples}))
          return std::unexpected(cancelled("the export").error());
      }
      QD_TRY(set->read(i, from_ms, to_ms, columns));
      if (columns.times.empty()) continue;
      if (writer == nullptr) {
        // Prometheus tells blocks of one moment apart by chance alone; made one after the other, they sort as their
        // times do.
        QD_ASSIGN(writer, BlockWriter::create(files, out,
                                              {.ulid = make_ulid(std::max<TimestampMs>(0, options.now_ms) +
                                                                     static_cast<TimestampMs>(report.blocks.size()),
                                                                 random),
                                               .min_ms = begin,
                                               .end_ms = end,
                                               .external_labels = options.external_labels}));
      }
      QD_TRY(writer->add(set->labels(i), columns));
      ++report.series;
      report.samples += columns.size();
    }
    if (writer != nullptr) {
      QD_ASSIGN(BlockMeta meta, writer->finish());
      report.blocks.push_back(std::move(meta));
    }
    if (end > options.reach.max_ms) return report;
  }
}

base::Result<ExportReport> export_openmetrics(base::Files& files, const metrics::Querier& querier,
                                              const std::filesystem::path& out, const ExportOptions& options,
                                              const Tick& tick) {
  ExportReport report;
  const Interval& reach = options.reach;
  const std::filesystem::path temporary = out.native() + ".tmp";
  QD_ASSIGN(auto file, files.create(temporary));
  std::string text;
  model::exposition::TextWriter writer(text, model::exposition::Format::kOpenMetrics);
  const auto flush = [&]() -> base::Status {
    QD_TRY(file->append(base::as_bytes(text)));
    text.clear();
    return {};
  };
  const auto write = [&]() -> base::Status {
    Columns columns;
    std::vector<model::Label> labels;
    QD_ASSIGN(const auto names, querier.label_values(model::kMetricName, {}, reach.min_ms, reach.max_ms));
    for (std::size_t n = 0; n < names.size(); ++n) {
      const std::vector<Matcher> matchers{Matcher::equal(std::string(model::kMetricName), names[n])};
      QD_ASSIGN(const auto set, querier.select(matchers, reach.min_ms, reach.max_ms, kNoLimit));
      for (std::size_t i = 0; i < set->size(); ++i) {
        if (i % kSeriesPerTick == 0 &&
            !tick({.part = (static_cast<double>(n) + static_cast<double>(i) / static_cast<double>(set->size())) /
                           static_cast<double>(names.size()),
                   .series = report.series,
                   .samples = report.samples})) {
          return cancelled("the export");
        }
        QD_TRY(set->read(i, reach.min_ms, reach.max_ms, columns));
        labels.assign(set->labels(i).begin(), set->labels(i).end());
        ++report.series;
        for (std::size_t k = 0; k < columns.size(); ++k) {
          if (!columns.histograms.empty() && columns.histograms[k]) {
            ++report.histograms;
          } else if (model::is_stale_nan(columns.values[k])) {
            ++report.stale_markers;
          } else {
            ++report.samples;
            writer.sample(names[n], labels, columns.values[k], columns.times[k]);
          }
          if (text.size() >= kTextWriteBytes) QD_TRY(flush());
        }
      }
    }
    const std::vector<Matcher> nameless{Matcher::equal(std::string(model::kMetricName), "")};
    QD_ASSIGN(const auto rest, querier.select(nameless, reach.min_ms, reach.max_ms, kNoLimit));
    report.nameless = rest->size();
    writer.finish();
    QD_TRY(flush());
    QD_TRY(file->sync());
    file.reset();
    return files.rename(temporary, out);
  };
  if (base::Status written = write(); !written) {
    file.reset();
    static_cast<void>(files.remove(temporary));
    return base::fail(written.error());
  }
  return report;
}

}  // namespace qd::store::prometheus
