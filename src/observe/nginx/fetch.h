// nginx as the collector sees it, so that tests stand in for it.
#pragma once

#include <functional>

#include "base/result.h"
#include "connect/http/client.h"

namespace qd::observe::nginx {

// One exchange, waited for: returns within the request's deadline_ms and a moment. Called on a pool thread.
using Fetch = std::function<base::Result<connect::http::ClientResponse>(connect::http::ClientRequest)>;

// `client` outlives what it returns, which is not to be called on a thread of the client's loop.
Fetch fetch_by(connect::http::Client& client);

}  // namespace qd::observe::nginx
