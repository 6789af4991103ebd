#include "query/promql/info.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "query/promql/selectors.h"

namespace qd::query::promql {

namespace {

using model::Matcher;

bool is_positive(const Matcher& matcher) {
  return matcher.kind() == Matcher::Kind::kEqual || matcher.kind() == Matcher::Kind::kRegex;
}

// What makes an info series belong to a series.
using Identity = std::pair<std::string, std::string>;
Identity identity(const model::LabelSet& labels) {
  return {std::string(labels.get("instance")), std::string(labels.get("job"))};
}
bool is_identifying(std::string_view name) {
  return name == "instance" || name == "job";
}

struct InfoSeries {
  model::LabelSet labels;
  RowValues times;  // when the newest sample was taken, at each step
};
// By identity, then by the info metric's name.
using InfoIndex = std::map<Identity, std::map<std::string, std::vector<InfoSeries>>>;

class InfoJoin {
 public:
  InfoJoin(Context& context, const Grid& grid, const VectorSelector* wanted) : context_(context), grid_(grid) {
    if (wanted != nullptr) {
      for (const Matcher& matcher : wanted->matchers) {
        (matcher.name() == model::kMetricName ? names_ : data_).push_back(matcher);
      }
    }
  }

  base::Status select(const Expr& base_expr, const Rows& base) {
    QD_TRY(complete_names());
    std::set<Identity> identities;
    for (const Row& row : base.rows) identities.insert(identity(row.labels));
    identities.erase(Identity());
    VectorSelector selector;
    selector.matchers = names_;
    selector.matchers.insert(selector.matchers.end(), data_.begin(), data_.end());
    if (const Expr& inner = without_parens(base_expr); inner.kind == Expr::Kind::kVectorSelector) {
      const auto& series = as<VectorSelector>(inner);
      selector.at = series.at;
      QD_ASSIGN(selector.offset.ms, resolve(context_, series.offset, false));
    }
    QD_ASSIGN(const SourcePtr source, select_instant(context_, selector, grid_, Reading::kTime));
    Scratch scratch(context_);
    for (std::size_t i = 0; i < source->size(); ++i) {
      QD_TRY(context_.check());
      Identity key = identity(source->labels(i));
      if (!identities.contains(key)) continue;
      QD_ASSIGN(Charge charge, context_.charge(grid_.count));
      InfoSeries series{source->labels(i), RowValues(grid_.count)};
      QD_ASSIGN(const bool any, source->compute(i, series.times, scratch));
      if (!any) continue;
      charge_.absorb(std::move(charge));
      std::string name(series.labels.name());
      index_[std::move(key)][std::move(name)].push_back(std::move(series));
    }
    return {};
  }

  // Adds the rows that `row` becomes: one for every set of labels it has over time.
  base::Status add(Row row, Rows& out) {
    if (is_info(row.labels)) {
      out.rows.push_back(std::move(row));
      return {};
    }
    const bool must_match =
        std::any_of(data_.begin(), data_.end(), [](const Matcher& m) { return !m.matches_empty(); });
    const auto found = index_.find(identity(row.labels));
    std::unordered_map<model::LabelSet, std::size_t> made;
    for (std::size_t k = 0; k < grid_.count; ++k) {
      if (!row.has(k)) continue;
      model::LabelBuilder builder(row.labels);
      bool matched = false;
      if (found != index_.end()) {
        QD_ASSIGN(matched, join(row.labels, found->second, k, builder));
      }
      if (must_match && !matched) continue;
      model::LabelSet labels = builder.build();
      const auto [entry, fresh] = made.try_emplace(labels, out.rows.size());
      if (fresh) {
        QD_ASSIGN(Charge charge, context_.charge(grid_.count, labels.bytes().size()));
        out.charge.absorb(std::move(charge));
        out.rows.push_back({std::move(labels), row.drop_name, RowValues(grid_.count, kAbsent)});
      }
      out.rows[entry->second].take(k, row);
    }
    return {};
  }

 private:
  // Without a name, target_info; with names that are only ruled out, whatever else ends in _info.
  base::Status complete_names() {
    if (std::any_of(names_.begin(), names_.end(), is_positive)) return {};
    if (names_.empty()) {
      names_.push_back(Matcher::equal(std::string(model::kMetricName), "target_info"));
      return {};
    }
    QD_ASSIGN(Matcher any, Matcher::create(Matcher::Kind::kRegex, std::string(model::kMetricName), ".+_info"));
    names_.push_back(std::move(any));
    return {};
  }

  bool is_info(const model::LabelSet& labels) const {
    return std::all_of(names_.begin(), names_.end(),
                       [&](const Matcher& m) { return !is_positive(m) || m.matches(labels); });
  }

  bool wanted_label(std::string_view name) const {
    if (name == model::kMetricName || is_identifying(name)) return false;
    return data_.empty() || std::any_of(data_.begin(), data_.end(), [&](const Matcher& m) { return m.name() == name; });
  }

  base::Result<bool> join(const model::LabelSet& labels, const std::map<std::string, std::vector<InfoSeries>>& metrics,
                          std::size_t k, model::LabelBuilder& builder) const {
    bool matched = false;
    for (const auto& [name, candidates] : metrics) {
      const InfoSeries* newest = nullptr;
      for (const InfoSeries& series : candidates) {
        if (is_absent(series.times[k]) || (newest != nullptr && series.times[k] < newest->times[k])) continue;
        if (newest != nullptr && series.times[k] == newest->times[k]) {
          return base::fail(base::ErrorCode::kInvalid,
                            fmt::format("found duplicate series for info metric {}: {} and {}", name,
                                        newest->labels.to_string(), series.labels.to_string()));
        }
        newest = &series;
      }
      if (newest == nullptr) continue;
      matched = true;
      for (const model::Label& label : newest->labels) {
        if (!wanted_label(label.name) || labels.has(label.name)) continue;
        const std::string_view other = builder.get(label.name);
        if (!other.empty() && other != label.value) {
          return base::fail(base::ErrorCode::kInvalid,
                            fmt::format("conflicting label {} of info metrics for {}", label.name, labels.to_string()));
        }
        builder.set(label.name, label.value);
      }
    }
    return matched;
  }

  Context& context_;
  const Grid grid_;
  std::vector<Matcher> names_;
  std::vector<Matcher> data_;
  InfoIndex index_;
  Charge charge_;
};

}  // namespace

base::Result<Rows> add_info_labels(Context& context, const Expr& base_expr, Rows base, const VectorSelector* wanted,
                                   const Grid& grid) {
  InfoJoin join(context, grid, wanted);
  QD_TRY(join.select(base_expr, base));
  Rows out;
  out.charge = std::move(base.charge);
  for (Row& row : base.rows) QD_TRY(join.add(std::move(row), out));
  QD_TRY(join_same_labels(out, false));
  return out;
}

}  // namespace qd::query::promql
