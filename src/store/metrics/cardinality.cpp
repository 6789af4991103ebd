// Where the series of the head come from, counted piece by piece.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/metrics/store_impl.h"

namespace qd::store::metrics {

namespace {

// Of the index, under its lock: some hundred microseconds.
constexpr std::size_t kPiece = 4096;

// The `n` largest of what is offered, equal ones by name. Names are made only of what is kept.
class Largest {
 public:
  explicit Largest(std::size_t n) : n_(n) {}

  template <typename MakeName>
  void offer(std::uint64_t value, const MakeName& name) {
    if (n_ == 0 || (rows_.size() == n_ && value < rows_.front().value)) return;
    CardinalityRow row{name(), value};
    if (rows_.size() == n_) {
      if (!before(row, rows_.front())) return;
      std::pop_heap(rows_.begin(), rows_.end(), before);
      rows_.pop_back();
    }
    rows_.push_back(std::move(row));
    std::push_heap(rows_.begin(), rows_.end(), before);
  }

  std::vector<CardinalityRow> take() {
    std::sort(rows_.begin(), rows_.end(), before);
    return std::move(rows_);
  }

 private:
  static bool before(const CardinalityRow& a, const CardinalityRow& b) {
    return a.value != b.value ? a.value > b.value : a.name < b.name;
  }
  const std::size_t n_;
  std::vector<CardinalityRow> rows_;  // a heap: the smallest in front
};

struct OfLabel {
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
};

}  // namespace

Cardinality StoreImpl::cardinality(std::size_t rows) const {
  Cardinality result;
  result.series_limit = options().series_limit;
  Largest metrics(rows);
  Largest pairs(rows);
  std::unordered_map<std::string, OfLabel> labels;
  bool more = true;
  for (PairId from = 0; more; from += kPiece) {
    head_->with_index([&](const LabelIndex& index) {
      result.series = index.size();
      more = from + kPiece < index.pair_numbers();
      index.each_pair(from, from + kPiece, [&](std::string_view name, std::string_view value, std::size_t series) {
        ++result.label_pairs;
        if (name == model::kMetricName) metrics.offer(series, [&] { return std::string(value); });
        pairs.offer(series, [&] { return fmt::format("{}={}", name, value); });
        OfLabel& of = labels[std::string(name)];
        ++of.values;
        of.bytes += value.size() * series;
      });
    });
  }
  Largest values(rows);
  Largest bytes(rows);
  for (const auto& label : labels) {
    values.offer(label.second.values, [&] { return label.first; });
    bytes.offer(label.second.bytes, [&] { return label.first; });
  }
  result.label_names = labels.size();
  result.series_by_metric = metrics.take();
  result.series_by_pair = pairs.take();
  result.values_by_label = values.take();
  result.bytes_by_label = bytes.take();
  count_targets(rows, result);
  return result;
}

void StoreImpl::count_targets(std::size_t rows, Cardinality& result) const {
  struct Target {
    std::string job;
    std::string instance;
    std::uint64_t series = 0;
  };
  constexpr PairId kNoPair = 0xffffffff;
  std::unordered_map<std::uint64_t, Target> targets;  // by the numbers of both pairs
  bool more = true;
  for (std::size_t from = 0; more; from += kPiece) {
    head_->with_index([&](const LabelIndex& index) {
      const auto slots = index.slots();
      more = from + kPiece < slots.size();
      for (std::size_t i = from; i < std::min(from + kPiece, slots.size()); ++i) {
        PairId job = kNoPair;
        PairId instance = kNoPair;
        for (const PairId pair : index.pairs(slots[i])) {
          const std::string_view name = index.pair_name(pair);
          if (name == "job") job = pair;
          if (name == "instance") instance = pair;
        }
        Target& target = targets[std::uint64_t{job} << 32 | instance];
        if (target.series++ == 0) {
          if (job != kNoPair) target.job = index.pair_value(job);
          if (instance != kNoPair) target.instance = index.pair_value(instance);
        }
      }
    });
  }
  std::unordered_map<std::string, std::uint64_t> by_job;
  for (auto& [pairs, target] : targets) {
    by_job[target.job] += target.series;
    result.series_by_target.push_back({std::move(target.job), std::move(target.instance), target.series});
  }
  Largest jobs(rows);
  for (const auto& job : by_job) jobs.offer(job.second, [&] { return job.first; });
  result.series_by_job = jobs.take();
  result.jobs = by_job.size();
  result.targets = result.series_by_target.size();
  auto& found = result.series_by_target;
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(std::min(rows, found.size()));
  std::partial_sort(found.begin(), end, found.end(), [](const TargetCardinality& a, const TargetCardinality& b) {
    if (a.series != b.series) return a.series > b.series;
    return a.job != b.job ? a.job < b.job : a.instance < b.instance;
  });
  found.erase(end, found.end());
}

}  // namespace qd::store::metrics
