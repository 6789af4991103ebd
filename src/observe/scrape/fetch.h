// The network as the scraper sees it, so that tests stand in for it.
#pragma once

#include <functional>

#include "base/result.h"
#include "connect/http/client.h"

namespace qd::observe::scrape {

// Starts an exchange; `then` runs once, on any thread. Returns what cancels it (may be empty).
using Then = std::function<void(base::Result<connect::http::ClientResponse>)>;
using Fetch = std::function<std::function<void()>(connect::http::ClientRequest, Then)>;
Fetch fetch_by(connect::http::Client& client);

}  // namespace qd::observe::scrape
