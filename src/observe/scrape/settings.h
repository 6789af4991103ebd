// Settings of the section `observe.scrape`.
#pragma once

#include "model/config/schema.h"
#include "observe/scrape/loop.h"

namespace qd::observe::scrape {

// observe.scrape.openmetrics.
void declare(model::config::Schema& schema, ScrapeOptions& options);

}  // namespace qd::observe::scrape
