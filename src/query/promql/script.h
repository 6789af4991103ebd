// Runs PromQL test scripts: series are loaded, queries evaluated, results compared.
//
//   load 5m
//     http_requests{job="api"} 0+10x10
//
//   eval instant at 50m sum(http_requests)
//     expect no_warn
//     {} 100
//
//   eval range from 0 to 10m step 5m http_requests
//     http_requests{job="api"} 0 10 20
//
//   clear
//
// The language is that of Prometheus's promqltest; eval_ordered, eval_fail, eval_warn and eval_info stand for `expect`
// lines. An instant query is also run as a range query around its time, which must give the same. Experimental features
// and delayed name removal are on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qd::query::promql {

struct ScriptFailure {
  std::string file;
  std::size_t line = 0;
  std::string expression;
  std::string expected;
  std::string got;
};

struct ScriptReport {
  std::size_t passed = 0;
  std::vector<ScriptFailure> failures;
};

// A line that is no script is a failure too.
ScriptReport run_script(std::string_view text, std::string_view file_name);

}  // namespace qd::query::promql
