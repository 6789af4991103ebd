// Functions that look at labels: label_replace, label_join, sort_by_label and the like.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "query/promql/rows.h"

namespace qd::query::promql {

// kLimit for a value longer than kLabelValueBytesMax, and where the labels made do not fit into query.memory_limit.
base::Status label_replace(Context& context, Rows& rows, const std::string& target, const std::string& replacement,
                           const std::string& source, const std::string& pattern);
base::Status label_join(Context& context, Rows& rows, const std::string& target, const std::string& separator,
                        std::span<const std::string> sources);

// Sorts rows of one step by value, NaN last and histograms left out, or by labels with numbers in them compared as
// numbers.
void sort_by_value(Rows& rows, bool descending);
void sort_by_labels(Rows& rows, std::span<const std::string> names, bool descending);

}  // namespace qd::query::promql
