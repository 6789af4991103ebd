#include <algorithm>
#include <unordered_map>

#include "query/promql/aggregate.h"

namespace qd::query::promql {

namespace {

// Whether the label stays in the group's labels.
class Keeps {
 public:
  explicit Keeps(const AggregateExpr& expr) : without_(expr.without), names_(expr.grouping) {
    std::sort(names_.begin(), names_.end());
  }
  bool operator()(std::string_view name) const {
    const bool listed = std::binary_search(names_.begin(), names_.end(), name);
    return without_ ? !listed && name != model::kMetricName : listed;
  }
  bool nothing() const { return !without_ && names_.empty(); }

 private:
  const bool without_;
  std::vector<std::string> names_;
};

struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
};

// labels(i) and nameless(i) say what series i is; a nameless one has no name any more, whatever its labels say.
template <typename Labels, typename Nameless>
Grouping group(const AggregateExpr& expr, std::size_t n, Labels&& labels, Nameless&& nameless) {
  Grouping out;
  out.group_of.assign(n, 0);
  const Keeps keeps(expr);
  if (keeps.nothing()) {
    out.labels.emplace_back();
    return out;
  }
  std::unordered_map<std::string, std::uint32_t, KeyHash, std::equal_to<>> index;
  std::vector<model::Label> kept;
  std::string key;
  for (std::size_t i = 0; i < n; ++i) {
    const bool without_name_labels = nameless(i);
    kept.clear();
    key.clear();
    for (const model::Label& label : labels(i)) {
      if (!keeps(label.name) || (without_name_labels && is_name_label(label.name))) continue;
      kept.push_back(label);
      // No label name or value of valid UTF-8 has these bytes in it.
      key.append(label.name).push_back('\xfe');
      key.append(label.value).push_back('\xff');
    }
    auto found = index.find(std::string_view(key));
    if (found == index.end()) {
      found = index.emplace(key, static_cast<std::uint32_t>(out.labels.size())).first;
      out.labels.push_back(model::LabelSet::from(kept));
    }
    out.group_of[i] = found->second;
  }
  return out;
}

}  // namespace

Grouping group_series(const Context& context, const AggregateExpr& expr, const Source& source) {
  const bool delayed = context.options().delayed_name_removal;
  return group(
      expr, source.size(), [&](std::size_t i) -> const model::LabelSet& { return source.labels(i); },
      [&](std::size_t i) { return !delayed && source.drops_name(i); });
}

Grouping group_rows(const AggregateExpr& expr, const Rows& rows) {
  return group(
      expr, rows.rows.size(), [&](std::size_t i) -> const model::LabelSet& { return rows.rows[i].labels; },
      [](std::size_t) { return false; });
}

}  // namespace qd::query::promql
