// What a collector tells, as the page of an exporter.
#pragma once

#include <string_view>

#include "observe/runner.h"
#include "serve/router.h"

namespace qd::serve::prometheus {

// Answers with a fresh pass of the collector, in the format that the Accept header asks for; `?target=` chooses one of
// several instances. Where nothing is watched that a built-in collector could measure the page is empty, so that who
// scrapes it finds it up. 404 for other names and targets.
void send_exporter_page(Call call, observe::CollectorRunner& collectors, std::string_view name);

}  // namespace qd::serve::prometheus
