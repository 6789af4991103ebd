#include "cli/prometheus_directory.h"

#include <algorithm>

namespace qd::cli {

namespace {

// Read anew so often, and longer apart where that takes more than a twentieth of the time.
constexpr std::int64_t kEveryMs = 15'000;
constexpr std::int64_t kShare = 20;

}  // namespace

base::Status PrometheusDirectory::open(const std::string& dir, store::metrics::Store& store) {
  const auto warn = [this](const store::prometheus::Warning& warning) {
    log_.warn("a part of the Prometheus directory is passed over", {{"what", warning.what}});
  };
  QD_ASSIGN(directory_, store::prometheus::Directory::open(files_, dir, warn));
  store_ = &store;
  both_ =
      std::make_unique<store::prometheus::MergedQuerier>(std::vector<std::shared_ptr<const store::metrics::Querier>>{
          store::prometheus::borrowed(store), store::prometheus::borrowed(*directory_)});
  const auto content = directory_->content();
  log_.info("a Prometheus directory is served beside ours",
            {{"dir", dir},
             {"blocks", content->blocks.size()},
             {"head_series", content->head ? content->head->counts().series : 0}});
  return {};
}

const store::metrics::Querier& PrometheusDirectory::querier(const store::metrics::Store& store) const {
  return both_ ? static_cast<const store::metrics::Querier&>(*both_) : store;
}

void PrometheusDirectory::refresh(base::ThreadPool& pool) {
  if (!directory_ || reading_.exchange(true)) return;
  const auto queued = pool.submit([this] {
    read_anew();
    reading_ = false;
  });
  if (!queued) reading_ = false;
}

void PrometheusDirectory::read_anew() {
  constexpr std::int64_t kNsPerMs = 1'000'000;
  const std::int64_t begin_ms = clock_.monotonic_ns() / kNsPerMs;
  if (begin_ms < due_ms_) return;
  const auto changed_from_ms = directory_->refresh();
  readings_.all.add();
  if (!changed_from_ms) {
    readings_.failed.add();
    log_.warn("the Prometheus directory was not read anew, and is served as it was",
              {{"error", changed_from_ms.error()}});
  } else if (*changed_from_ms != model::kMaxTimestampMs) {
    store_->change_log().note(*changed_from_ms);
  }
  const std::int64_t end_ms = clock_.monotonic_ns() / kNsPerMs;
  due_ms_ = end_ms + std::max(kEveryMs, kShare * (end_ms - begin_ms));
}

}  // namespace qd::cli
