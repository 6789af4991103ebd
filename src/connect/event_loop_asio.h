// The io_context behind an EventLoop, for rooms of this floor only: whoever includes this compiles Asio.
#pragma once

#include <boost/asio/io_context.hpp>

#include "connect/event_loop.h"

namespace qd::connect {

boost::asio::io_context& io_context(EventLoop& loop);

}  // namespace qd::connect
