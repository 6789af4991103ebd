// What a request to a receiver looks like.
#pragma once

#include <string>

#include "connect/http/client.h"
#include "connect/http/http_config.h"
#include "ship/remote_write/sender.h"
#include "ship/remote_write/settings.h"
#include "ship/remote_write/sharded_sender.h"

namespace qd::ship::remote_write {

// Posts by `client`, which outlives what is returned, with the settings of the moment: a reload changes credentials,
// certificates and time. `settings` may be called from any thread.
Sender::Post post_by(connect::http::Client& client, std::function<ForwardSettings()> settings);

// The same for a destination, whose settings come with each request.
ShardedSender::PostTo post_to(connect::http::ConfiguredFetch fetch);

}  // namespace qd::ship::remote_write
