#include "query/promql/source.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "model/histogram_arithmetic.h"

namespace qd::query::promql {

namespace {

// What computing one step, and one series beside its steps, costs, more or less.
constexpr std::uint64_t kReadStepNs = 5;
constexpr std::uint64_t kReadSeriesNs = 500;
constexpr std::uint64_t kHashNs = 100;

// A hash of what labels_after gives, without building it.
std::uint64_t hash_after(const Source& source, std::size_t i) {
  const bool nameless = source.drops_name(i);
  std::uint64_t hash = 0;
  for (const model::Label& label : source.labels(i)) {
    if (nameless && is_name_label(label.name)) continue;
    const std::hash<std::string_view> text_hash;
    hash = (hash * 0x9e3779b97f4a7c15U + text_hash(label.name)) * 0x9e3779b97f4a7c15U + text_hash(label.value);
  }
  return hash;
}

class RowsSource final : public Source {
 public:
  explicit RowsSource(Rows rows) : rows_(std::move(rows)) {}

  std::size_t size() const override { return rows_.rows.size(); }
  const model::LabelSet& labels(std::size_t i) const override { return rows_.rows[i].labels; }
  bool drops_name(std::size_t i) const override { return rows_.rows[i].drop_name; }
  bool unique_without_name() const override { return rows_.rows.size() < 2; }
  base::Result<bool> compute(std::size_t i, std::span<double> out, Scratch& scratch) const override {
    std::copy(rows_.rows[i].values.begin(), rows_.rows[i].values.end(), out.begin());
    scratch.histograms = rows_.rows[i].histograms;
    return true;
  }

 private:
  const Rows rows_;
};

class BroadcastSource final : public Source {
 public:
  explicit BroadcastSource(SourcePtr inner) : inner_(std::move(inner)) {}

  std::size_t size() const override { return inner_->size(); }
  const model::LabelSet& labels(std::size_t i) const override { return inner_->labels(i); }
  bool drops_name(std::size_t i) const override { return inner_->drops_name(i); }
  bool unique_without_name() const override { return inner_->unique_without_name(); }
  base::Result<bool> compute(std::size_t i, std::span<double> out, Scratch& scratch) const override {
    QD_ASSIGN(const bool any, inner_->compute(i, out.first(1), scratch));
    std::fill(out.begin() + 1, out.end(), out[0]);
    if (!scratch.histograms.empty()) {
      const model::HistogramPtr only = scratch.histograms[0];
      scratch.histograms.assign(out.size(), only);
    }
    return any;
  }

 private:
  const SourcePtr inner_;
};

}  // namespace

std::uint64_t samples_of(const HistogramColumn& column) {
  std::uint64_t out = 0;
  for (const model::HistogramPtr& histogram : column) {
    if (histogram != nullptr) out += model::memory_bytes(*histogram) / kBytesPerSample;
  }
  return out;
}

SourcePtr make_rows_source(Rows rows) {
  return std::make_unique<RowsSource>(std::move(rows));
}

SourcePtr make_broadcast_source(SourcePtr inner) {
  return std::make_unique<BroadcastSource>(std::move(inner));
}

model::LabelSet labels_after(const Context& context, const Source& source, std::size_t i) {
  if (source.drops_name(i) && !context.options().delayed_name_removal) return without_name(source.labels(i));
  return source.labels(i);
}

base::Result<Rows> materialize(Context& context, const Source& source, const Grid& grid) {
  const std::size_t n = source.size();
  const bool delayed = context.options().delayed_name_removal;
  std::vector<Row> slots(n);
  std::vector<Charge> charges(Context::block_count(n));
  const auto compute = [&](std::size_t block, std::size_t begin, std::size_t end) -> base::Status {
    Scratch scratch(context);
    std::vector<double> row;
    for (std::size_t i = begin; i < end; ++i) {
      QD_TRY(context.check());
      QD_ASSIGN(Charge charge, context.charge(grid.count));
      row.resize(grid.count);
      QD_ASSIGN(const bool any, source.compute(i, row, scratch));
      if (!any) continue;
      slots[i].labels = labels_after(context, source, i);
      slots[i].drop_name = delayed && source.drops_name(i);
      slots[i].values = row;
      slots[i].histograms = std::exchange(scratch.histograms, {});
      if (const std::uint64_t more = samples_of(slots[i].histograms); more > 0) {
        QD_ASSIGN(Charge histograms, context.charge(more));
        charge.absorb(std::move(histograms));
      }
      QD_ASSIGN(Charge labels, context.charge(0, slots[i].labels.bytes().size()));
      charge.absorb(std::move(labels));
      charges[block].absorb(std::move(charge));
    }
    return {};
  };
  QD_TRY(context.for_blocks(n, kReadSeriesNs + kReadStepNs * grid.count, compute));
  Rows rows;
  std::erase_if(slots, [](const Row& row) { return row.values.empty(); });
  rows.rows = std::move(slots);
  for (Charge& charge : charges) rows.charge.absorb(std::move(charge));
  return rows;
}

base::Result<SourcePtr> settle_names(Context& context, SourcePtr source, const Grid& grid, bool strict) {
  if (context.options().delayed_name_removal || source->unique_without_name()) return source;
  // Equal hashes of different labels only mean the longer way below.
  std::vector<std::uint64_t> hashes(source->size());
  const auto hash = [&](std::size_t, std::size_t begin, std::size_t end) -> base::Status {
    for (std::size_t i = begin; i < end; ++i) hashes[i] = hash_after(*source, i);
    return {};
  };
  QD_TRY(context.for_blocks(hashes.size(), kHashNs, hash));
  std::sort(hashes.begin(), hashes.end());
  if (std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end()) return source;
  QD_ASSIGN(Rows rows, materialize(context, *source, grid));
  QD_TRY(join_same_labels(rows, strict));
  return make_rows_source(std::move(rows));
}

}  // namespace qd::query::promql
