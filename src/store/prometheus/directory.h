// The data directory of a Prometheus, or any folder of its blocks, opened to be read: blocks and head as one.
//
// Never writes there and takes no lock, so a Prometheus may run on it meanwhile: what is read is the state of the
// moment of opening, or of the last refresh(). Samples that a running Prometheus has acknowledged since then are not
// seen until the next one, and a block that it removes stays readable until then. Thread-safe; refresh() by one thread
// at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "base/result.h"
#include "store/metrics/querier.h"
#include "store/prometheus/block.h"
#include "store/prometheus/head.h"

namespace qd::store::prometheus {

class Directory final : public metrics::Querier {
 public:
  // What was found at one moment.
  struct Content {
    std::vector<std::shared_ptr<const Block>> blocks;  // by time; those that others stand for are left out
    std::vector<base::Error> broken;                   // blocks that do not open: the rest is served
    std::shared_ptr<const Head> head;                  // null where there is neither a log nor mapped chunks
  };

  // A folder of blocks, or of one: `dir` may be a block itself. kNotFound when it holds neither blocks nor a log. What
  // is damaged is told to `warn` and passed over.
  static base::Result<std::unique_ptr<Directory>> open(base::Files& files, const std::filesystem::path& dir, Warn warn);

  // Whether `dir` looks like what Prometheus writes: blocks, or a log of its kind.
  static base::Result<bool> recognise(base::Files& files, const std::filesystem::path& dir);

  // Reads anew what has changed: new blocks, and the head. What is damaged for the first time is told. Gives the oldest
  // time from which on samples may be others than before: kMaxTimestampMs where nothing has changed. On an error
  // nothing has.
  base::Result<model::TimestampMs> refresh();

  std::shared_ptr<const Content> content() const;
  const std::filesystem::path& path() const { return dir_; }
  // Of all samples; min > max where there are none.
  Interval reach() const;

  base::Result<std::unique_ptr<SeriesSet>> select(std::span<const Matcher> matchers, model::TimestampMs from_ms,
                                                  model::TimestampMs to_ms, std::size_t series_limit) const override;
  base::Result<std::vector<std::string>> label_names(std::span<const Matcher> matchers, model::TimestampMs from_ms,
                                                     model::TimestampMs to_ms) const override;
  base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const Matcher> matchers,
                                                      model::TimestampMs from_ms,
                                                      model::TimestampMs to_ms) const override;

 private:
  Directory(base::Files& files, std::filesystem::path dir, Warn warn)
      : files_(files), dir_(std::move(dir)), warn_(std::move(warn)) {}
  base::Result<std::vector<std::filesystem::path>> block_dirs() const;
  base::Result<model::TimestampMs> refresh(const std::vector<std::filesystem::path>& dirs);
  void tell(const Warning& warning);
  // What has changed when this has.
  base::Result<std::string> head_state() const;
  std::shared_ptr<const metrics::Querier> querier() const;

  base::Files& files_;
  const std::filesystem::path dir_;
  const Warn warn_;
  std::vector<std::string> told_;  // of refresh's thread
  std::string head_state_;         // the same
  model::TimestampMs head_from_ms_ = model::kMinTimestampMs;

  mutable base::Mutex mutex_;
  std::shared_ptr<const Content> content_ QD_GUARDED_BY(mutex_);
  std::shared_ptr<const metrics::Querier> querier_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::store::prometheus
