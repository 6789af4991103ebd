// Samples from elsewhere, of any age, into the directory of the metrics store while no store is open on it.
//
//   QD_ASSIGN(auto importer, Importer::create(files, dir, options));
//   QD_TRY(importer->add(querier, reach, tick));
//   QD_TRY(importer->commit());
//
// Writes segments of the store's own, one for each stretch of time and call, and has the manifest name them all at
// commit: an import that is stopped leaves nothing. They may overlap each other and what is there; where two samples of
// a series have the same time, what the store has wins, and of what is imported the first call. One thread; the caller
// holds the lock of the data directory, and has had the store open and closed it, so that the manifest is whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "store/metrics/manifest.h"
#include "store/metrics/querier.h"
#include "store/metrics/store.h"
#include "store/prometheus/exporter.h"

namespace qd::store::prometheus {

struct ImportReport {
  std::uint64_t segments = 0;
  std::uint64_t series = 0;  // of a segment each
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;
  model::TimestampMs min_ms = model::kMaxTimestampMs;
  model::TimestampMs max_ms = model::kMinTimestampMs;
};

class Importer {
 public:
  // `options` say how the store cuts time: segments fit the windows that it merges in.
  static base::Result<std::unique_ptr<Importer>> create(base::Files& files, const std::filesystem::path& dir,
                                                        const metrics::StoreOptions& options);
  // Not committed: removes what was written.
  ~Importer();
  Importer(const Importer&) = delete;
  Importer& operator=(const Importer&) = delete;

  // All samples of `querier` in `reach`.
  base::Status add(const metrics::Querier& querier, const Interval& reach, const Tick& tick);
  // Those of a file of OpenMetrics, each of which must say its time. kInvalid names the line.
  base::Status add_openmetrics(std::string_view text, const Tick& tick);

  const ImportReport& report() const { return report_; }
  // Durable once this returns success. Once.
  base::Result<ImportReport> commit();

 private:
  class Gathered;
  Importer(base::Files& files, std::filesystem::path dir, std::int64_t window_ms)
      : files_(files), dir_(std::move(dir)), window_ms_(window_ms) {}
  // Series that may have samples in a window.
  using Select = std::function<base::Result<std::shared_ptr<const metrics::SeriesSet>>(const Interval&)>;
  // Calls `select` for each window of `reach`; what its series have there becomes a segment.
  base::Status add_windows(const Interval& reach, const Select& select, const Tick& tick);

  base::Files& files_;
  const std::filesystem::path dir_;
  const std::int64_t window_ms_;
  metrics::Manifest manifest_;
  std::vector<std::uint64_t> written_;
  std::uint64_t next_ = 1;
  bool committed_ = false;
  ImportReport report_;
};

}  // namespace qd::store::prometheus
