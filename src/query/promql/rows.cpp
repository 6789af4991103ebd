#include "query/promql/rows.h"

#include <fmt/format.h>

#include <unordered_map>

namespace qd::query::promql {

bool is_name_label(std::string_view name) {
  return name == model::kMetricName || name == "__type__" || name == "__unit__";
}

model::LabelSet without_name(const model::LabelSet& labels) {
  model::LabelBuilder builder(labels);
  builder.remove(model::kMetricName);
  builder.remove("__type__");
  builder.remove("__unit__");
  return builder.build();
}

base::Status join_same_labels(Rows& rows, bool strict) {
  std::unordered_map<model::LabelSet, std::size_t> first;
  first.reserve(rows.rows.size());
  std::vector<Row> kept;
  kept.reserve(rows.rows.size());
  for (Row& row : rows.rows) {
    const auto [found, fresh] = first.try_emplace(row.labels, kept.size());
    if (fresh) {
      kept.push_back(std::move(row));
      continue;
    }
    Row& target = kept[found->second];
    for (std::size_t k = 0; k < row.values.size(); ++k) {
      if (!row.has(k)) continue;
      if (strict || target.has(k)) {
        return base::fail(base::ErrorCode::kInvalid,
                          fmt::format("vector cannot contain metrics with the same labelset: {} stands for more than "
                                      "one series here",
                                      row.labels.to_string()));
      }
      target.take(k, row);
    }
    target.drop_name = target.drop_name || row.drop_name;
  }
  rows.rows = std::move(kept);
  return {};
}

base::Status remove_delayed_names(Rows& rows) {
  bool any = false;
  for (Row& row : rows.rows) {
    if (!row.drop_name) continue;
    any = true;
    row.labels = without_name(row.labels);
    row.drop_name = false;
  }
  return any ? join_same_labels(rows, false) : base::Status{};
}

}  // namespace qd::query::promql
