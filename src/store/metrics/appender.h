// How samples get into the store: a batch that becomes visible and durable as a whole.
//
//   auto appender = store.appender();
//   QD_ASSIGN(SeriesRef ref, appender->series(labels));
//   appender->append(ref, time_ms, value);
//   QD_TRY(appender->commit());
//
// An Appender belongs to one thread at a time and to one batch; the store outlives it. Dropped without commit, its
// samples are gone as if they had never been (series that it created may remain, empty, until the next sealing).
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "model/exemplar.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace qd::store::metrics {

// A series of the head, valid as long as the process runs or until the series is dropped for having no samples; then
// append says kUnknownSeries and the caller asks series() again. 0 is never given.
using SeriesRef = std::uint64_t;

enum class AppendOutcome : std::uint8_t {
  kOk,
  kUnknownSeries,   // the reference has been dropped: ask series() again
  kOutOfOrder,      // older than the newest sample of the series, and late ones are not taken
  kDuplicate,       // same time, another value (same time and same value is kOk and stores nothing)
  kTooOld,          // before what has been sealed, or before what is taken of late ones
  kTooFarInFuture,  // further ahead of the clock last given to maintain than the store allows
  kInvalid,         // a histogram that model::validate refuses, or an exemplar with too long labels
};

class Appender {
 public:
  virtual ~Appender() = default;

  // Finds or creates. kLimit past the series limit, naming its setting; kInvalid for no or too large labels.
  virtual base::Result<SeriesRef> series(const model::LabelSet& labels) = 0;
  // From now on the batch takes samples of any age within the retention, whatever their series has already; otherwise
  // late ones only as far back from the newest of all as store.metrics.out_of_order_window says.
  virtual void take_late() {}
  // Whether counters are to begin with a zero (store.metrics.created_timestamp_zero_ingestion).
  virtual bool takes_starts() const { return false; }
  // Whether a sample at that time would be newer than all that the series has, in the store and in this batch, and be
  // taken in order. False where it would be late, or where it is not known.
  virtual bool is_newest(SeriesRef /*ref*/, model::TimestampMs /*time_ms*/) { return false; }
  // Judged against what is committed and what this batch holds so far.
  virtual AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, double value) = 0;
  // The same for a histogram. A series may go from numbers to histograms and back. Its end is told by a number, the
  // stale marker, either way; a histogram whose sum is the stale marker is taken as that.
  virtual AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, const model::Histogram& histogram) = 0;
  // What stands behind a sample of the series. Times rise within a series, as those of samples; one that is not newer
  // than the newest is kOutOfOrder, and the very same once more is kOk and stores nothing.
  virtual AppendOutcome exemplar(SeriesRef ref, const model::Exemplar& exemplar) = 0;
  // What the family is; the newest wins. Kept in memory only; texts past kHelpBytesMax are
  // left out.
  virtual void metadata(std::string_view family, const model::Metadata& metadata) = 0;
  // Success means acknowledged: in the log, and visible to queries. kUnavailable when the log cannot be written (disk
  // full and the like) or too many late samples wait to be sealed; kConflict when, since its samples were judged,
  // another batch brought newer ones of the same series or their window was sealed (appending them again tells which).
  // Nothing of the batch is stored then. The appender is empty afterwards either way and may be used for the next
  // batch.
  virtual base::Status commit() = 0;
  // How many samples commit would write, exemplars aside.
  virtual std::size_t pending() const = 0;
};

// For a counter whose sample at `time_ms` comes next, and that began to count at `start_ms`: appends a zero there,
// where that is wanted, and newer than what the series has. With `like`, a histogram without observations, of its
// layout. Whether one was appended.
bool append_start(Appender& appender, SeriesRef ref, model::TimestampMs start_ms, model::TimestampMs time_ms,
                  const model::Histogram* like = nullptr);

// What the floors above hold of a store that takes samples.
class Appendable {
 public:
  virtual ~Appendable() = default;
  virtual std::unique_ptr<Appender> appender() = 0;
};

}  // namespace qd::store::metrics
