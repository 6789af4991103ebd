// Values as the Prometheus API writes and reads them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connect/http/message.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "query/promql/value.h"
#include "serve/json.h"

namespace qd::serve::prometheus {

// 1435781430.781
void write_time(std::string& out, model::TimestampMs time_ms);
// Shortest digits; exponent form below 1e-6 and from 1e21 on.
void write_value(std::string& out, double value);
// {"count":"12","sum":"18.4","buckets":[[0,"1","2","12"]]}: buckets that are not empty, with which of their bounds
// belong to them: 0 the upper one, 1 the lower one, 2 none, 3 both.
void write_histogram(std::string& out, const model::Histogram& histogram);
// 2026-01-02T03:04:05.678Z, and the zero time of Go for 0.
std::string rfc3339(model::TimestampMs time_ms);
void write_labels(JsonWriter& json, const model::LabelSet& labels);

// {"resultType":…,"result":…}, at most `limit` series (0: all); true when some were left out.
bool write_result(std::string& out, const query::promql::QueryResult& result, std::size_t limit);

// {"status":"success","data":…} with what `data` appends, and warnings and infos where there are some.
connect::http::Response success(const std::function<void(std::string&)>& data,
                                std::span<const std::string> warnings = {}, std::span<const std::string> infos = {});

// Parameters. Errors are kInvalid and say `invalid parameter "name": …`.
base::Result<model::TimestampMs> time_parameter(const connect::http::Request& request, std::string_view name,
                                                std::optional<model::TimestampMs> otherwise);
// Seconds as a number, or a duration: in milliseconds.
base::Result<std::int64_t> duration_parameter(const connect::http::Request& request, std::string_view name);
// 0 when it is not there: no limit.
base::Result<std::size_t> limit_parameter(const connect::http::Request& request);
// One list of matchers for each match[].
base::Result<std::vector<std::vector<model::Matcher>>> match_parameters(const connect::http::Request& request);

}  // namespace qd::serve::prometheus
