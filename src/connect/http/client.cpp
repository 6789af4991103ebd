#include "connect/http/client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <deque>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/assert.h"
#include "base/mutex.h"
#include "connect/event_loop_asio.h"
#include "connect/http/client_easy.h"

namespace qd::connect::http {
namespace {

namespace asio = boost::asio;
using base::ErrorCode;
using Strand = asio::strand<asio::io_context::executor_type>;

constexpr std::size_t kSpareHandlesMax = 64;
constexpr int kEventsATurn = 128;

struct Pending {
  Pending(ClientRequest request, std::string shown_url, Client::Then a_then, std::int64_t started,
          std::int64_t deadline)
      : transfer(std::move(request), std::move(shown_url)),
        then(std::move(a_then)),
        started_ns(started),
        deadline_ns(deadline) {}

  EasyTransfer transfer;
  Client::Then then;
  std::int64_t started_ns;
  std::int64_t deadline_ns;
  // While it waits for a place; while one that streams waits for the header.
  base::Scheduler::TimerId deadline_timer = 0;
  bool running = false;
};

struct ClientCounters {
  explicit ClientCounters(base::Registry& a_registry)
      : registry(a_registry),
        running(registry.gauge("quarterdeck_http_client_transfers", "Outbound transfers running now.")),
        waiting(
            registry.gauge("quarterdeck_http_client_transfers_waiting", "Outbound transfers that wait for a place.")),
        received_bytes(registry.counter("quarterdeck_http_client_received_bytes_total",
                                        "Bytes of bodies received by outbound transfers, as they came.")) {}
  base::Counter& finished(const base::Result<ClientResponse>& result) {
    const std::string_view how = result ? "ok" : base::to_string(result.error().code());
    return registry.counter("quarterdeck_http_client_transfers_total", "Outbound transfers finished, by result.",
                            {{"result", std::string(how)}});
  }
  base::Registry& registry;
  base::Gauge& running;
  base::Gauge& waiting;
  base::Counter& received_bytes;
};

}  // namespace

// Everything of curl happens on `strand_`. curl tells which sockets it watches; they stand in an epoll set of its own,
// and the loop watches that set as one descriptor.
class Client::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(EventLoop& a_loop, const ClientOptions& some_options, base::Registry& registry)
      : loop(a_loop),
        options(some_options),
        counters(registry),
        strand_(asio::make_strand(io_context(a_loop))),
        timer_(strand_),
        sockets_(strand_) {}

  ~Core() { shut_down(); }

  base::Status open() {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (multi_ = curl_multi_init()) == nullptr)
      return base::fail(ErrorCode::kInternal, "libcurl does not start");
    const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) return base::fail(base::errno_error(errno, "cannot make an epoll set for outbound transfers"));
    boost::system::error_code error;
    static_cast<void>(sockets_.assign(epoll_fd, error));
    if (error) {
      ::close(epoll_fd);
      return base::fail(base::errno_error(error.value(), "cannot watch the sockets of outbound transfers"));
    }
    epoll_fd_ = epoll_fd;
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Core::on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Core::on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options.cached_connections_max));
    asio::post(strand_, [self = shared_from_this()] { self->await_sockets(); });
    return {};
  }

  std::uint64_t fetch(ClientRequest request, Then then) {
    const std::int64_t now_ns = loop.clock().monotonic_ns();
    const std::uint64_t id = ++last_id_;
    auto shown_url = EasyTransfer::check(request);
    if (!shown_url) {
      ++outstanding_;
      answer(std::move(then), base::fail(std::move(shown_url).error()));
      return id;
    }
    if (outstanding_.fetch_add(1) >= options.concurrent_max + options.queue_max) {
      answer(std::move(then),
             base::fail(ErrorCode::kLimit,
                        fmt::format("{} {}: {} transfers run and {} wait already (queue_max)", request.method,
                                    *shown_url, options.concurrent_max, options.queue_max)));
      return id;
    }
    const std::int64_t deadline_ns = now_ns + std::min<std::int64_t>(request.deadline_ms, kDeadlineMsMax) * 1'000'000;
    auto pending =
        std::make_unique<Pending>(std::move(request), std::move(*shown_url), std::move(then), now_ns, deadline_ns);
    asio::post(strand_, [self = shared_from_this(), id, pending = std::move(pending)]() mutable {
      self->enqueue(id, std::move(pending));
    });
    return id;
  }

  void cancel(std::uint64_t id) {
    asio::post(strand_, [self = shared_from_this(), id] {
      const auto it = self->pending_.find(id);
      if (it == self->pending_.end()) return;
      self->finish(id, base::fail(it->second->transfer.error(ErrorCode::kCancelled, "cancelled")));
      self->start_waiting();
    });
  }

  // Cancels everything; returns when every callback has returned, or the loop no longer runs.
  void close() {
    asio::post(strand_, [self = shared_from_this()] {
      self->closing_ = true;
      std::vector<std::uint64_t> ids;
      for (const auto& [id, pending] : self->pending_) ids.push_back(id);
      for (const auto id : ids) {
        self->finish(id, base::fail(self->pending_.at(id)->transfer.error(ErrorCode::kCancelled,
                                                                          "the client is shutting down")));
      }
      self->shut_down();
      self->is_shut_ = true;
      base::MutexLock lock(self->mutex_);
      self->changed_.notify_all();
    });
    base::MutexLock lock(mutex_);
    while (loop.running() && (!is_shut_ || outstanding_ > 0))
      changed_.wait_until(mutex_, std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  }

  EventLoop& loop;
  const ClientOptions options;
  ClientCounters counters;

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t kDeadlineMsMax = std::int64_t{24} * 3600 * 1000;

  void enqueue(std::uint64_t id, std::unique_ptr<Pending> pending) {
    Pending& one = *pending;
    pending_.emplace(id, std::move(pending));
    if (closing_) {
      finish(id, base::fail(one.transfer.error(ErrorCode::kCancelled, "the client is shutting down")));
      return;
    }
    // What was cancelled while it waited is only forgotten here.
    if (waiting_.size() > options.queue_max + options.concurrent_max)
      std::erase_if(waiting_, [this](std::uint64_t waiting) { return !one_waits(waiting); });
    waiting_.push_back(id);
    counters.waiting.add(1);
    start_waiting();
    if (const auto it = pending_.find(id); it != pending_.end() && !(it->second->running && !one.transfer.streams())) {
      one.deadline_timer = loop.at(one.deadline_ns, [self = shared_from_this(), id] {
        asio::post(self->strand_, [self, id] {
          self->expire_waiting(id);
          self->expire_unanswered(id);
        });
      });
    }
  }

  bool one_waits(std::uint64_t id) const {
    const auto it = pending_.find(id);
    return it != pending_.end() && !it->second->running;
  }

  void expire_waiting(std::uint64_t id) {
    if (!one_waits(id)) return;
    const auto& transfer = pending_.at(id)->transfer;
    finish(id, base::fail(transfer.error(
                   ErrorCode::kTimeout,
                   fmt::format("found no place among {} transfers within its deadline", options.concurrent_max))));
  }

  void expire_unanswered(std::uint64_t id) {
    const auto it = pending_.find(id);
    if (it == pending_.end() || !it->second->transfer.streams() || it->second->transfer.answered()) return;
    finish(id, base::fail(it->second->transfer.timed_out()));
    start_waiting();
  }

  void start_waiting() {
    while (running_ < options.concurrent_max && !waiting_.empty()) {
      const std::uint64_t id = waiting_.front();
      waiting_.pop_front();
      if (one_waits(id)) start(id, *pending_.at(id));
    }
  }

  void start(std::uint64_t id, Pending& one) {
    const std::int64_t remaining_ms = (one.deadline_ns - loop.clock().monotonic_ns()) / 1'000'000;
    if (remaining_ms <= 0) return expire_waiting(id);
    EasyHandle easy = take_handle();
    if (!easy) return finish(id, base::fail(one.transfer.error(ErrorCode::kUnavailable, "out of memory")));
    auto prepared = one.transfer.prepare(std::move(easy), remaining_ms, options.connect_timeout_ms);
    if (!prepared) return finish(id, base::fail(std::move(prepared).error()));
    ids_.emplace(one.transfer.easy(), id);
    one.running = true;
    ++running_;
    counters.waiting.add(-1);
    counters.running.add(1);
    if (one.deadline_timer != 0 && !one.transfer.streams()) loop.cancel(one.deadline_timer);
    if (curl_multi_add_handle(multi_, one.transfer.easy()) != CURLM_OK)
      finish(id, base::fail(one.transfer.error(ErrorCode::kInternal, "libcurl does not take the transfer")));
  }

  EasyHandle take_handle() {
    if (spare_.empty()) {
      EasyHandle fresh(curl_easy_init());
      return fresh;
    }
    EasyHandle easy = std::move(spare_.back());
    spare_.pop_back();
    return easy;
  }

  void finish(std::uint64_t id, base::Result<ClientResponse> result) {
    auto node = pending_.extract(id);
    Pending& one = *node.mapped();
    if (one.deadline_timer != 0) loop.cancel(one.deadline_timer);
    if (EasyHandle easy = one.transfer.release_easy()) {
      ids_.erase(easy.get());
      curl_multi_remove_handle(multi_, easy.get());
      curl_easy_reset(easy.get());
      if (spare_.size() < kSpareHandlesMax) spare_.push_back(std::move(easy));
    }
    if (one.running) {
      --running_;
      counters.running.add(-1);
    } else {
      counters.waiting.add(-1);
    }
    counters.received_bytes.add(one.transfer.received_bytes());
    if (result) result->duration_ns = loop.clock().monotonic_ns() - one.started_ns;
    answer(std::move(one.then), std::move(result));
  }

  void answer(Then then, base::Result<ClientResponse> result) {
    counters.finished(result).add();
    asio::post(io_context(loop),
               [self = shared_from_this(), then = std::move(then), result = std::move(result)]() mutable {
                 then(std::move(result));
                 then = nullptr;
                 --self->outstanding_;
                 if (!self->is_shut_) return;
                 base::MutexLock lock(self->mutex_);
                 self->changed_.notify_all();
               });
  }

  // Gives back what curl is done with.
  void harvest() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto found = ids_.find(message->easy_handle);
      QD_ASSERT(found != ids_.end());
      const std::uint64_t id = found->second;
      finish(id, pending_.at(id)->transfer.result(message->data.result));
    }
    start_waiting();
  }

  void await_sockets() {
    if (closing_) return;
    sockets_.async_wait(asio::posix::descriptor_base::wait_read,
                        [self = shared_from_this()](const boost::system::error_code& error) {
                          if (error || self->closing_) return;
                          self->serve_sockets();
                          self->await_sockets();
                        });
  }

  void serve_sockets() {
    std::array<epoll_event, kEventsATurn> events;
    const int n = ::epoll_wait(epoll_fd_, events.data(), kEventsATurn, 0);
    for (int i = 0; i < n; ++i) {
      epoll_event& event = events[static_cast<std::size_t>(i)];
      if (!watched_.contains(event.data.fd)) {
        ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, event.data.fd, &event);
        continue;
      }
      int ready = 0;
      // With an error curl looks for itself: 0 has it poll the socket.
      if ((event.events & (EPOLLERR | EPOLLHUP)) == 0) {
        if ((event.events & EPOLLIN) != 0) ready |= CURL_CSELECT_IN;
        if ((event.events & EPOLLOUT) != 0) ready |= CURL_CSELECT_OUT;
      }
      int running = 0;
      curl_multi_socket_action(multi_, event.data.fd, ready, &running);
    }
    harvest();
  }

  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
    auto& core = *static_cast<Core*>(self);
    if (what == CURL_POLL_REMOVE) {
      // curl may tell this after it has closed the socket, when the number may be somebody else's: the epoll set is
      // left as it is. A closed socket is out of it by itself, another one when it next has an event.
      core.watched_.erase(fd);
      return 0;
    }
    epoll_event event{};
    event.data.fd = fd;
    if (what != CURL_POLL_OUT) event.events |= EPOLLIN;
    if (what != CURL_POLL_IN) event.events |= EPOLLOUT;
    core.watched_.insert(fd);
    if (::epoll_ctl(core.epoll_fd_, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
      ::epoll_ctl(core.epoll_fd_, EPOLL_CTL_ADD, fd, &event);
    return 0;
  }

  static int on_timer(CURLM*, long timeout_ms, void* self) {
    auto& core = *static_cast<Core*>(self);
    core.wanted_ns_ = timeout_ms < 0 ? kNever : core.loop.clock().monotonic_ns() + timeout_ms * 1'000'000;
    if (timeout_ms == 0) {
      core.act_soon();
    } else {
      core.arm_timer();
    }
    return 0;
  }

  // curl asks to be called, but not from inside itself.
  void act_soon() {
    if (act_posted_) return;
    act_posted_ = true;
    asio::post(strand_, [self = shared_from_this()] {
      self->act_posted_ = false;
      self->act_on_time();
    });
  }

  // curl moves its time at every step of a transfer, mostly to later. The timer stays at the earliest, and is set again
  // when it fires.
  void arm_timer() {
    if (wanted_ns_ >= armed_ns_) return;
    armed_ns_ = wanted_ns_;
    const std::int64_t now_ns = loop.clock().monotonic_ns();
    timer_.expires_after(std::chrono::nanoseconds(std::max<std::int64_t>(wanted_ns_ - now_ns, 0)));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error) return;
      self->armed_ns_ = kNever;
      self->act_on_time();
    });
  }

  void act_on_time() {
    if (closing_) return;
    if (wanted_ns_ <= loop.clock().monotonic_ns()) {
      wanted_ns_ = kNever;
      int running = 0;
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
      harvest();
    }
    arm_timer();
  }

  void shut_down() {
    closing_ = true;
    if (multi_ != nullptr) {
      curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, nullptr);
      for (auto& [id, pending] : pending_)
        if (const EasyHandle easy = pending->transfer.release_easy()) curl_multi_remove_handle(multi_, easy.get());
      pending_.clear();
      spare_.clear();
      curl_multi_cleanup(multi_);
      multi_ = nullptr;
    }
    boost::system::error_code ignored;
    timer_.cancel();
    static_cast<void>(sockets_.close(ignored));
  }

  std::atomic<std::uint64_t> last_id_{0};
  std::atomic<std::size_t> outstanding_{0};  // callbacks that have not come back
  std::atomic<bool> is_shut_{false};
  base::Mutex mutex_;  // guards no data: whoever waits for outstanding_ and is_shut_ sleeps on it
  base::CondVar changed_;

  Strand strand_;
  // From here on only on the strand.
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Strand> timer_;
  asio::posix::basic_stream_descriptor<Strand> sockets_;
  int epoll_fd_ = -1;                // owned by sockets_
  std::unordered_set<int> watched_;  // by curl; the epoll set may hold more
  CURLM* multi_ = nullptr;
  bool closing_ = false;
  bool act_posted_ = false;
  std::int64_t wanted_ns_ = kNever;  // when curl wants to be called
  std::int64_t armed_ns_ = kNever;   // when timer_ fires
  std::size_t running_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Pending>> pending_;
  std::unordered_map<CURL*, std::uint64_t> ids_;
  std::deque<std::uint64_t> waiting_;  // in order of arrival; may name some that are finished
  std::vector<EasyHandle> spare_;
};

void Client::Transfer::cancel() {
  if (const auto core = core_.lock()) core->cancel(id_);
}

base::Result<std::unique_ptr<Client>> Client::create(EventLoop& loop, const ClientOptions& options,
                                                     base::Registry& registry) {
  auto core = std::make_shared<Core>(loop, options, registry);
  QD_TRY(core->open());
  return std::unique_ptr<Client>(new Client(std::move(core)));
}

Client::~Client() {
  core_->close();
}

Client::Transfer Client::fetch(ClientRequest request, Then then) {
  const std::uint64_t id = core_->fetch(std::move(request), std::move(then));
  return {core_, id};
}

}  // namespace qd::connect::http
