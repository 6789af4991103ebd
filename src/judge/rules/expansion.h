// What the templates of rules may say: the data and the functions of Prometheus's template reference.
//
// Source: Prometheus documentation, "Template reference".
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/labels.h"
#include "model/sample.h"
#include "model/template/template.h"
#include "query/promql/value.h"

namespace qd::judge::rules {

// Asks the store: an instant query.
using QueryFunction =
    std::function<base::Result<query::promql::QueryResult>(std::string_view expr, model::TimestampMs time_ms)>;

// Where an expression is shown, as Prometheus's page and ours have it: tab 0 is the graph, 1 the table.
std::string graph_path(std::string_view expr, int tab);

// `query` may be empty where templates are only checked. It answers as of `time_ms`.
model::tmpl::Functions template_functions(const QueryFunction& query, model::TimestampMs time_ms,
                                          const std::string& external_url);

// `text` with $labels, $value, $externalLabels and $externalURL defined, as alerts have them.
base::Result<std::string> expand(std::string_view name, std::string_view text, const model::LabelSet& labels,
                                 double value, const model::LabelSet& external_labels, const std::string& external_url,
                                 const QueryFunction& query, model::TimestampMs time_ms,
                                 const model::tmpl::Limits& limits = {});

// Whether `text` would parse as such a template.
base::Status check_template(std::string_view name, std::string_view text);

}  // namespace qd::judge::rules
