// Bounds what one call of libpq reads.
//
// libpq takes from its socket as long as there is more and its buffer has room, and a message that says it has a
// gigabyte makes the room: one call could take all of that, and as long as the server sends. While a watch lives, a
// thread looks at the socket every few milliseconds and shuts it down, which ends the call, when more has come than is
// allowed or the deadline has passed. What comes over a Unix socket cannot be counted from outside: there it is the
// deadline alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"

namespace qd::connect::postgres {

class ReadWatch {
 public:
  // `bytes_max` from now on. `clock` outlives the watch.
  ReadWatch(int socket, std::size_t bytes_max, std::int64_t deadline_ns, const base::Clock& clock);
  ~ReadWatch();
  ReadWatch(const ReadWatch&) = delete;
  ReadWatch& operator=(const ReadWatch&) = delete;

  bool met_limit() const;

 private:
  void watch();
  bool has_too_many() const;

  const int socket_;
  const std::uint64_t bytes_from_;
  const std::size_t bytes_max_;
  const std::int64_t deadline_ns_;
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  base::CondVar wake_;
  bool over_ QD_GUARDED_BY(mutex_) = false;
  bool met_limit_ QD_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Bytes that came over a TCP connection since it was made; 0 for other sockets.
std::uint64_t received_bytes(int socket);

}  // namespace qd::connect::postgres
