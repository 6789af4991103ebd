// The file that scrape_failure_log_file names: a line of JSON for each scrape that failed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::observe::scrape {

struct ScrapeFailure {
  std::int64_t time_ms = 0;
  std::string_view pool;
  std::string_view target;
  std::string_view error;
};

// Opens the file, adds a line, closes it, so that it can be rotated at any time. From any thread; lines are whole.
base::Status log_failure(const std::string& file, const ScrapeFailure& failure);

}  // namespace qd::observe::scrape
