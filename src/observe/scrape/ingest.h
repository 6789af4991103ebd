// From the text that a target sent to samples in the store.
//
// Remembers the series of the last scrape in their order: a target that sends the same series again costs a comparison
// a line, and nothing is hashed; only a surprise is looked up. What was there and is not any more gets a stale marker.
// Used by one thread at a time. Memory: the text of each series and 24 bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/exposition/parser.h"
#include "model/exposition/proto_parser.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/relabel.h"
#include "observe/scrape/created.h"
#include "observe/scrape/series_made.h"
#include "store/metrics/appender.h"

namespace qd::observe::scrape {

struct HistogramOptions {
  bool native = false;
  bool keep_classic = false;      // beside the native ones
  bool convert_classic = false;   // those without a native part
  std::uint64_t buckets_max = 0;  // of both sides, brought down to; 0 is no limit
  double bucket_factor_min = 0;   // buckets that grow by less are merged; 0 leaves them
};

struct IngestOptions {
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  std::uint64_t label_limit = 0;  // 0 is no limit
  std::uint64_t label_name_length_limit = 0;
  std::uint64_t label_value_length_limit = 0;
  model::Relabeller metric_rules = {};  // decide once a series
  model::NameScheme name_scheme = model::NameScheme::kUtf8;
  HistogramOptions histograms = {};
  // Hold OpenMetrics to what it asks of whole families. They are looked at when a target's lines are not those of its
  // last scrape, so that a page that stays as it is costs nothing more.
  bool check_families = true;
};

struct IngestCounts {
  std::uint64_t samples = 0;
  std::uint64_t dropped = 0;  // of them, by metric_relabel_configs
  std::uint64_t series_added = 0;
  std::uint64_t out_of_order = 0;
  std::uint64_t duplicate = 0;
  std::uint64_t too_old = 0;
  std::uint64_t too_far_in_future = 0;
  std::uint64_t series_refused = 0;     // past the store's series limit
  std::uint64_t past_series_limit = 0;  // samples of new series, past that of limit_series
  bool past_sample_limit = false;       // which refused the whole
  bool past_label_limits = false;
  std::string refusal;  // what the store said of the first of them
};

class Ingest {
 public:
  // `target_labels` go on every sample.
  Ingest(model::LabelSet target_labels, const IngestOptions& options);

  // From now on samples of new series are dropped once this many different ones have been made; 0 is no limit. Counted
  // only while there is one: 16 bytes a series.
  void limit_series(std::uint64_t limit) { series_made_.limit(limit); }
  std::uint64_t series_made() const { return series_made_.size(); }

  // Puts every sample of `body` into `appender`, and stale markers for the series that vanished. The caller commits,
  // then calls accept; on an error (kInvalid with the line or the labels, kLimit with the name of the limit), or when
  // the commit fails, it drops the appender's batch and calls reject. `counts` is filled either way. `sample_limit` 0
  // is none.
  base::Status append(std::string_view body, model::exposition::Format format, model::TimestampMs now_ms,
                      std::uint64_t sample_limit, store::metrics::Appender& appender, IngestCounts& counts);
  void accept();
  void reject();

  // The target failed or is gone: stale markers for what it sent last, once. The caller commits.
  void end_series(model::TimestampMs now_ms, store::metrics::Appender& appender);

  const model::LabelSet& target_labels() const { return target_labels_; }

 private:
  struct Entry {
    std::uint32_t text_at = 0;
    std::uint32_t text_size = 0;
    store::metrics::SeriesRef ref = 0;
    bool stale_when_gone = false;  // its last sample had no timestamp of its own
    bool seen = false;             // only while `reordering_`
    bool dropped = false;          // by the rules: `ref` is 0 for good
  };

  std::string_view text(const Entry& entry) const {
    return std::string_view(texts_).substr(entry.text_at, entry.text_size);
  }
  // Of a text or a protobuf parser, which say the same things.
  template <typename SomeParser>
  base::Status append_all(SomeParser& parser, model::TimestampMs now_ms, std::uint64_t sample_limit,
                          store::metrics::Appender& appender, IngestCounts& counts);
  // Puts a zero before the sample that comes next, where it is known when counting began.
  template <typename SomeParser>
  void append_start(SomeParser& parser, bool is_new, store::metrics::SeriesRef ref, model::TimestampMs time_ms,
                    store::metrics::Appender& appender);
  base::Status take_histogram(const model::exposition::ProtoParser& parser);
  template <typename SomeParser>
  base::Status append_sample(SomeParser& parser, Entry& entry, model::TimestampMs now_ms,
                             store::metrics::Appender& appender, IngestCounts& counts);
  // Of the sample that was appended last.
  template <typename SomeParser>
  static void append_exemplars(SomeParser& parser, store::metrics::SeriesRef ref, model::TimestampMs time_ms,
                               store::metrics::Appender& appender);
  base::Result<Entry*> place(std::string_view series, bool in_order, IngestCounts& counts);
  // False: the rules drop it.
  base::Result<bool> relabel(model::LabelSet& labels) const;
  base::Status check_labels(const model::LabelSet& labels) const;
  base::Status check_families(std::string_view body) const;
  void begin_reordering();
  Entry& indexed(std::size_t id);
  std::size_t slot_of(std::string_view series);
  void index(std::size_t id);
  void grow_index();
  void mark_vanished(model::TimestampMs now_ms, store::metrics::Appender& appender);
  template <typename SomeParser>
  void take_metadata(const SomeParser& parser, model::exposition::Event event, store::metrics::Appender& appender);
  void flush_metadata(store::metrics::Appender& appender);
  void drop_scratch();
  void compact();

  const model::LabelSet target_labels_;
  const IngestOptions options_;

  std::string texts_;         // of the entries, one after the other, some of them no longer used
  std::vector<Entry> order_;  // as in the last scrape that was accepted; each text once
  std::size_t accepted_text_bytes_ = 0;
  bool live_ = false;  // their newest samples are no stale markers

  // While a scrape is being read: the place in order_ that should come next; once something else came, next_ gathers
  // the new order, and slots_ finds entries of both by the hash of their text (open addressing, id + 1).
  std::size_t cursor_ = 0;
  bool reordering_ = false;
  std::vector<Entry> next_;
  std::vector<std::uint32_t> slots_;
  std::size_t indexed_ = 0;

  SeriesMade series_made_;

  // When counting began, where the store wants to know: as the page says, and what the last page that was accepted said
  // as a whole, as then only series that are new can begin.
  bool takes_starts_ = false;
  CreatedTimes created_;
  std::uint64_t accepted_created_ = 0;

  model::Histogram histogram_;  // the one that is being appended,
  bool is_histogram_ = false;   // where the sample is one

  std::string family_;
  model::Metadata family_metadata_;
  bool family_pending_ = false;
  // Hashes of the metadata that the store has been told, by hash of the family, and those of this scrape.
  std::unordered_map<std::uint64_t, std::uint64_t> metadata_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> new_metadata_;
};

// The labels that a sample has in the store: its own, and those of its target. Where both have one of a name, the
// target's wins and the sample's becomes exported_<name>; with `honor_labels` the sample's wins, even an empty one.
model::LabelSet sample_labels(std::span<const model::Label> sample, const model::LabelSet& target, bool honor_labels);

}  // namespace qd::observe::scrape
