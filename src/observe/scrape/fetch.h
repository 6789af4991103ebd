// The network as the scraper sees it, so that tests stand in for it.
#pragma once

#include <functional>

#include "base/result.h"
#include "connect/http/http_config.h"

namespace qd::observe::scrape {

// Starts an exchange; `then` runs once, on any thread, possibly inside the call. Returns what cancels it (may be
// empty).
using Fetch = connect::http::ConfiguredFetch;
using Then = connect::http::Client::Then;

}  // namespace qd::observe::scrape
