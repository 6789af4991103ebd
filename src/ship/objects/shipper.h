// Uploads what is stored, two hours at a time, as blocks that Thanos serves from the bucket.
//
// A stretch of two hours is shipped once it has been over for `kSettledMs`: exported as a block into a folder of its
// own, uploaded (meta.json last, by which Thanos knows that a block is whole), looked for in the store, and noted in
// `<dir>/shipped`. A block's name follows from its time and the external labels alone: what a crash made to be uploaded
// again replaces itself. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "model/sample.h"
#include "ship/objects/settings.h"
#include "ship/objects/uploader.h"
#include "store/metrics/querier.h"

namespace qd::ship::objects {

class Shipper {
 public:
  // Samples that come later than this are not in the block.
  static constexpr std::int64_t kSettledMs = 60LL * 60 * 1000;

  // kInvalid without external labels, by which Thanos tells blocks of several apart. `dir` is its own; what a crash
  // left there is removed. `since_ms`: nothing before is shipped, where nothing has been shipped yet.
  static base::Result<std::unique_ptr<Shipper>> open(base::Files& files, const store::metrics::Querier& querier,
                                                     const std::filesystem::path& dir, const ObjectSettings& settings,
                                                     std::map<std::string, std::string> external_labels,
                                                     model::TimestampMs since_ms, Surroundings surroundings,
                                                     base::Log& log, base::Registry& registry);

  // Ships what is due, oldest first. A failure is counted and returned; the next call goes on where it was.
  base::Status run(model::TimestampMs now_ms);
  // Nothing before this time is left to ship.
  model::TimestampMs shipped_until_ms() const { return until_ms_; }

 private:
  Shipper(base::Files& files, const store::metrics::Querier& querier, std::filesystem::path dir,
          const ObjectSettings& settings, std::map<std::string, std::string> external_labels, Surroundings surroundings,
          base::Log& log, base::Registry& registry);
  base::Status ship(model::TimestampMs begin_ms);
  base::Status upload(const std::string& ulid);

  base::Files& files_;
  const store::metrics::Querier& querier_;
  const std::filesystem::path dir_;
  const std::map<std::string, std::string> external_labels_;
  const Surroundings surroundings_;
  Uploader uploader_;
  base::Log& log_;
  model::TimestampMs until_ms_ = 0;
  base::Counter& blocks_;
  base::Counter& bytes_;
  base::Counter& failures_;
  base::Gauge& until_;
};

}  // namespace qd::ship::objects
