#include "query/promql/label_functions.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/strings.h"

namespace qd::query::promql {

namespace {

bool is_decimal(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_decimal(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

base::Status check_target(const std::string& target, std::string_view function) {
  if (!target.empty() && base::valid_utf8(target)) return {};
  return base::fail(base::ErrorCode::kInvalid,
                    fmt::format("invalid destination label name in {}(): {}", function, base::quote(target)));
}

// False, and `value` as it was, past kLabelValueBytesMax.
bool append(std::string& value, std::string_view more) {
  if (more.size() > kLabelValueBytesMax - value.size()) return false;
  value.append(more);
  return true;
}

std::unexpected<base::Error> too_long(const std::string& target, std::string_view function) {
  return base::fail(base::ErrorCode::kLimit,
                    fmt::format("{}() would set label {} to a value of more than {} bytes, the most that a query may "
                                "make: join fewer or shorter values",
                                function, base::quote(target), kLabelValueBytesMax));
}

// Charges what the labels grow by to `charge`, which has those from before already.
base::Status set_target(Context& context, Row& row, const std::string& target, std::string_view value, Charge& charge) {
  model::LabelBuilder builder(row.labels);
  builder.set(target, value);
  model::LabelSet labels = builder.build();
  const std::size_t before = row.labels.bytes().size();
  const std::size_t after = labels.bytes().size();
  if (after > before) {
    QD_ASSIGN(Charge grown, context.charge(0, after - before));
    charge.absorb(std::move(grown));
  }
  row.labels = std::move(labels);
  // Whoever sets the name wants it.
  if (target == model::kMetricName) row.drop_name = false;
  return {};
}

// $1, ${1}, $name, ${name} and $$, as Go's regexp.Expand reads them: a name is as long as it can be.
// Nothing past kLabelValueBytesMax.
std::optional<std::string> expand(std::string_view replacement, const re2::RE2& pattern,
                                  const std::vector<re2::StringPiece>& groups) {
  std::string out;
  for (std::size_t at = 0; at < replacement.size(); ++at) {
    if (replacement[at] != '$' || at + 1 == replacement.size()) {
      if (!append(out, replacement.substr(at, 1))) return std::nullopt;
      continue;
    }
    if (replacement[at + 1] == '$') {
      if (!append(out, "$")) return std::nullopt;
      ++at;
      continue;
    }
    const bool braces = replacement[at + 1] == '{';
    const std::size_t begin = at + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < replacement.size() && is_word(replacement[end])) ++end;
    if (end == begin || (braces && (end == replacement.size() || replacement[end] != '}'))) {
      if (!append(out, "$")) return std::nullopt;
      continue;
    }
    const std::string name(replacement.substr(begin, end - begin));
    at = braces ? end : end - 1;
    std::size_t group = groups.size();
    if (std::all_of(name.begin(), name.end(), is_decimal)) {
      if (name.size() < 9) group = static_cast<std::size_t>(std::stoul(name));
    } else if (const auto named = pattern.NamedCapturingGroups().find(name);
               named != pattern.NamedCapturingGroups().end()) {
      group = static_cast<std::size_t>(named->second);
    }
    if (group < groups.size() && !append(out, {groups[group].data(), groups[group].size()})) return std::nullopt;
  }
  return out;
}

// Runs of digits compare as numbers, everything else as bytes: 4m5 before 4m600.
int natural_compare(std::string_view a, std::string_view b) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const std::size_t a_begin = i;
    const std::size_t b_begin = j;
    const bool a_digits = is_decimal(a[i]);
    const bool b_digits = is_decimal(b[j]);
    while (i < a.size() && is_decimal(a[i]) == a_digits) ++i;
    while (j < b.size() && is_decimal(b[j]) == b_digits) ++j;
    std::string_view x = a.substr(a_begin, i - a_begin);
    std::string_view y = b.substr(b_begin, j - b_begin);
    if (a_digits && b_digits) {
      x.remove_prefix(std::min(x.find_first_not_of('0'), x.size()));
      y.remove_prefix(std::min(y.find_first_not_of('0'), y.size()));
      if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
    }
    if (const int order = x.compare(y); order != 0) return order;
  }
  if (i < a.size()) return 1;
  if (j < b.size()) return -1;
  return a.compare(b);
}

}  // namespace

base::Status label_replace(Context& context, Rows& rows, const std::string& target, const std::string& replacement,
                           const std::string& source, const std::string& pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  const re2::RE2 regex(pattern, options);
  if (!regex.ok()) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("invalid regular expression in label_replace(): {}: {}", pattern, regex.error()));
  }
  QD_TRY(check_target(target, "label_replace"));
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1);
  for (Row& row : rows.rows) {
    QD_TRY(context.check());
    const std::string value(row.labels.get(source));
    if (!regex.Match(value, 0, value.size(), re2::RE2::ANCHOR_BOTH, groups.data(), static_cast<int>(groups.size()))) {
      continue;
    }
    const std::optional<std::string> expanded = expand(replacement, regex, groups);
    if (!expanded) return too_long(target, "label_replace");
    QD_TRY(set_target(context, row, target, *expanded, rows.charge));
  }
  return join_same_labels(rows, true);
}

base::Status label_join(Context& context, Rows& rows, const std::string& target, const std::string& separator,
                        std::span<const std::string> sources) {
  for (const std::string& name : sources) {
    if (name.empty() || !base::valid_utf8(name)) {
      return base::fail(base::ErrorCode::kInvalid,
                        fmt::format("invalid source label name in label_join(): {}", base::quote(name)));
    }
  }
  QD_TRY(check_target(target, "label_join"));
  for (Row& row : rows.rows) {
    QD_TRY(context.check());
    std::string joined;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if ((i > 0 && !append(joined, separator)) || !append(joined, row.labels.get(sources[i]))) {
        return too_long(target, "label_join");
      }
    }
    QD_TRY(set_target(context, row, target, joined, rows.charge));
  }
  return join_same_labels(rows, true);
}

void sort_by_value(Rows& rows, bool descending) {
  const double sign = descending ? -1 : 1;
  // Histograms have no order.
  std::erase_if(rows.rows, [](const Row& row) { return is_absent(row.values[0]); });
  std::sort(rows.rows.begin(), rows.rows.end(), [sign](const Row& a, const Row& b) {
    const double x = a.values[0];
    const double y = b.values[0];
    if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
    if (!std::isnan(x) && x != y) return x * sign < y * sign;
    return a.labels < b.labels;
  });
}

void sort_by_labels(Rows& rows, std::span<const std::string> names, bool descending) {
  std::sort(rows.rows.begin(), rows.rows.end(), [&](const Row& first, const Row& second) {
    const Row& a = descending ? second : first;
    const Row& b = descending ? first : second;
    for (const std::string& name : names) {
      if (const int order = natural_compare(a.labels.get(name), b.labels.get(name)); order != 0) return order < 0;
    }
    return a.labels < b.labels;
  });
}

}  // namespace qd::query::promql
