// What the connections of one server share: limits, counts, the handler, and who is connected.
//
// Lifetime: Server, connections and unanswered replies hold it. After ~Server it is closed: nothing calls the handler
// or touches the loop through it any more (see Entry).
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/strand.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "connect/http/listen.h"
#include "connect/http/server.h"
#include "connect/http/transport.h"

namespace qd::connect::http {

using Executor = boost::asio::strand<boost::asio::io_context::executor_type>;
using Descriptor = boost::asio::posix::basic_stream_descriptor<Executor>;

class Connection;

struct ServerCounters {
  explicit ServerCounters(base::Registry& registry);
  base::Counter& refused(std::string_view reason);

  base::Registry& registry;
  std::array<base::Counter*, 5> responses;  // 1xx to 5xx
  base::Counter& connections_total;
  base::Gauge& connections;
  base::Gauge& in_flight;
  base::Counter& received_bytes;
  base::Counter& sent_bytes;
  base::Counter& accept_errors;
  base::Histogram& duration;
};

class Server::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(EventLoop& a_loop, ServerOptions an_options, Handler a_handler, base::Log& a_log, base::Registry& registry);
  ~Core();

  base::Status listen();
  void begin_accepting();
  void stop(std::int64_t grace_ms);
  // Nothing enters from here on, and what had entered has left when this returns.
  void close();
  base::Result<std::function<void()>> prepare_tls();

  // Guards every path from outside into the loop, the handler or a generator against the server's end.
  class Entry {
   public:
    explicit Entry(Core& core) : core_(core) {
      ++core_.inside_;
      open_ = !core_.closed_;
    }
    ~Entry() { --core_.inside_; }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    explicit operator bool() const { return open_; }

   private:
    Core& core_;
    bool open_;
  };

  bool stopping() const { return stopping_; }
  std::int64_t now_ns() const { return loop.clock().monotonic_ns(); }

  // A place for one more request, and for the bytes of its body; false when the limit is met.
  bool begin_request();
  void end_request();
  bool charge_body(std::uint64_t bytes);
  void release_body(std::uint64_t bytes);

  void forget(const std::shared_ptr<Connection>& connection);

  EventLoop& loop;
  const ServerOptions options;
  const Handler handler;
  base::Log& log;
  ServerCounters counters;
  std::vector<std::string> addresses;  // fixed after listen()
  std::uint16_t first_port = 0;

 private:
  struct Acceptor;
  void accept_from(const std::shared_ptr<Acceptor>& acceptor);
  void welcome(Accepted accepted);
  void watch_deadlines();
  std::int64_t deadline_tick_ms() const;
  std::vector<std::shared_ptr<Connection>> everyone() const;
  bool wait_until_empty(std::int64_t wait_ms);

  std::atomic<bool> stopping_{false};
  std::atomic<bool> closed_{false};
  std::atomic<int> inside_{0};
  std::atomic<std::size_t> in_flight_{0};
  std::atomic<std::uint64_t> body_bytes_{0};
  std::vector<std::shared_ptr<Acceptor>> acceptors_;  // filled before the server runs, emptied by close()

  mutable base::Mutex mutex_;
  base::CondVar left_;
  std::unordered_set<std::shared_ptr<Connection>> connections_ QD_GUARDED_BY(mutex_);
  TlsContext tls_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::connect::http
