#include "connect/http/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <limits>

#include "base/assert.h"
#include "connect/event_loop_asio.h"

namespace qd::connect::http {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kReadBytes = 32 * 1024;
constexpr std::size_t kWriteBytesATurn = 1 << 20;
constexpr int kRefillsATurn = 64;
constexpr std::size_t kReadAheadBytesMax = 16 * 1024;  // of further requests, while one is handled
constexpr std::size_t kKeptBufferBytes = 256;
constexpr std::int64_t kLingerMs = 2'000;
constexpr std::uint64_t kLingerBytesMax = 4 << 20;
constexpr std::int64_t kGeneratorPauseMs = 20;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

struct Connection::Exchange {
  Exchange(const ServerOptions& options, std::int64_t now_ns)
      : parser(options.header_bytes_max, options.body_bytes_max), started_ns(now_ns) {}

  RequestParser parser;
  ResponseWriter writer;
  base::CancelToken cancel;
  std::string method;  // for the access log, as is the target
  std::string target;
  std::int64_t started_ns;
  std::int64_t body_started_ns = 0;
  std::uint64_t body_charged = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t lingered_bytes = 0;
  bool in_flight = false;
  bool keep_alive = false;
  bool refused = false;
};

// The way from a reply back to its connection. It holds no connection: one that is closed while a reply is still out
// must not outlive the loop.
class Connection::AnswerSink final : public Reply::Sink {
 public:
  AnswerSink(std::shared_ptr<Server::Core> core, std::weak_ptr<Connection> connection, const ResponseTerms& terms)
      : core_(std::move(core)), connection_(std::move(connection)), terms_(terms) {}

  void answer(Response response) override {
    const Server::Core::Entry entry(*core_);
    if (!entry) return;
    const auto connection = connection_.lock();
    if (!connection) return;
    const auto executor = connection->descriptor_.get_executor();
    asio::dispatch(executor, [connection, writer = ResponseWriter(std::move(response), terms_)]() mutable {
      connection->answered(std::move(writer));
    });
  }

 private:
  const std::shared_ptr<Server::Core> core_;
  const std::weak_ptr<Connection> connection_;
  const ResponseTerms terms_;
};

base::Result<std::shared_ptr<Connection>> Connection::make(std::shared_ptr<Server::Core> core, Accepted accepted,
                                                           const TlsContext& tls) {
  try {
    return std::make_shared<Connection>(std::move(core), std::move(accepted), tls);
  } catch (const std::exception& error) {
    return base::fail(base::ErrorCode::kUnavailable, fmt::format("cannot take a connection: {}", error.what()));
  }
}

Connection::Connection(std::shared_ptr<Server::Core> core, Accepted accepted, const TlsContext& tls)
    : core_(std::move(core)),
      peer_(std::move(accepted.peer)),
      descriptor_(asio::make_strand(io_context(core_->loop))),
      transport_(accepted.socket.fd(), tls),
      state_(tls ? State::kHandshake : State::kIdle),
      deadline_ns_(kNever) {
  descriptor_.assign(accepted.socket.fd());
  accepted.socket.release();
}

void Connection::start() {
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] {
    self->set_deadline_in_ms(self->state_ == State::kHandshake ? self->core_->options.header_timeout_ms
                                                               : self->core_->options.idle_timeout_ms);
    self->readable_ = true;
    if (self->core_->stopping()) return self->close();
    self->run();
  });
}

void Connection::close_if_idle() {
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] {
    if (self->state_ == State::kIdle || self->state_ == State::kHandshake || self->state_ == State::kHeader)
      self->close();
  });
}

void Connection::close_now() {
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] { self->close(); });
}

void Connection::check_deadline(std::int64_t now_ns) {
  if (now_ns < deadline_ns_.load(std::memory_order_relaxed)) return;
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] { self->deadline_passed(); });
}

void Connection::run() {
  if (running_) return;
  running_ = true;
  while (step()) {
  }
  running_ = false;
}

void Connection::run_later() {
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] { self->run(); });
}

bool Connection::step() {
  switch (state_) {
    case State::kHandshake:
      return shake_hands();
    case State::kIdle:
    case State::kHeader:
    case State::kBody:
      return receive();
    case State::kHandler:
      return read_ahead();
    case State::kWrite:
      return write();
    case State::kLinger:
      return drain();
    case State::kClosed:
      return false;
  }
  return false;
}

bool Connection::shake_hands() {
  const auto outcome = transport_.handshake();
  if (outcome == Transport::Outcome::kDone) {
    state_ = State::kIdle;
    set_deadline_in_ms(core_->options.idle_timeout_ms);
    return true;
  }
  if (outcome == Transport::Outcome::kWantRead || outcome == Transport::Outcome::kWantWrite) {
    await(outcome);
    return false;
  }
  core_->counters.refused("tls_handshake").add();
  close();
  return false;
}

bool Connection::receive() {
  for (int reads = 0; reads < core_->options.reads_a_turn;) {
    if (!unparsed().empty() && parse()) return true;
    if (state_ != State::kIdle && state_ != State::kHeader && state_ != State::kBody) return state_ != State::kClosed;
    if (!readable_) {
      await_read();
      return false;
    }
    std::array<char, kReadBytes> buffer;
    const auto moved = transport_.read(buffer);
    switch (moved.outcome) {
      case Transport::Outcome::kDone:
        ++reads;
        core_->counters.received_bytes.add(moved.bytes);
        in_.append(buffer.data(), moved.bytes);
        // A plain socket that gave less than was asked for is empty, or tells of its end by an event of its own.
        if (!transport_.tls() && moved.bytes < buffer.size()) readable_ = false;
        break;
      case Transport::Outcome::kWantRead:
      case Transport::Outcome::kWantWrite:
        readable_ = false;
        await(moved.outcome);
        return false;
      case Transport::Outcome::kEnd:
      case Transport::Outcome::kBroken:
        close();
        return false;
    }
  }
  // The turn is over; what was read last is parsed in the next one.
  run_later();
  return false;
}

// True when the state moved on; false when more bytes are needed.
bool Connection::parse() {
  const auto& options = core_->options;
  if (!exchange_) {
    // RFC 9112, section 2.2: an empty line before a request is skipped.
    const auto begin = unparsed().find_first_not_of("\r\n");
    if (begin == std::string_view::npos) {
      consume(unparsed().size());
      return false;
    }
    consume(begin);
    exchange_ = std::make_unique<Exchange>(options, core_->now_ns());
    state_ = State::kHeader;
    set_deadline_in_ms(options.header_timeout_ms);
  }
  Exchange& now = *exchange_;
  consume(now.parser.put(unparsed()));
  switch (now.parser.state()) {
    case RequestParser::State::kHeader:
      return false;
    case RequestParser::State::kMalformed: {
      const auto& refusal = now.parser.refusal();
      refuse(refusal.status, refusal.reason, refusal.text);
      return true;
    }
    case RequestParser::State::kBody:
    case RequestParser::State::kComplete:
      break;
  }
  const std::uint64_t grown = now.parser.body_bytes() - now.body_charged;
  now.body_charged += grown;
  if (!core_->charge_body(grown)) {
    refuse(503, "bodies_full", "too many request bodies are being received; try again later");
    return true;
  }
  if (now.parser.state() == RequestParser::State::kComplete) return dispatch();
  if (state_ == State::kHeader) return look_at_header();
  deadline_ns_ = body_deadline_ns();
  return false;
}

bool Connection::look_at_header() {
  state_ = State::kBody;
  exchange_->body_started_ns = core_->now_ns();
  deadline_ns_ = body_deadline_ns();
  // Best effort: a client may not wait for this for ever (RFC 9110, section 10.1.1).
  if (exchange_->parser.expects_continue() && unparsed().empty()) {
    const auto moved = transport_.write(kContinue, {});
    if (moved.outcome == Transport::Outcome::kDone && moved.bytes < kContinue.size()) {
      close();
      return true;
    }
  }
  return true;
}

bool Connection::dispatch() {
  Exchange& now = *exchange_;
  deadline_ns_ = kNever;
  const auto& header = now.parser.request();
  const ResponseTerms terms{.accepts = now.parser.accepted_encodings(),
                            .head = header.method == "HEAD",
                            .http_1_1 = now.parser.http_1_1(),
                            .keep_alive = now.parser.keep_alive()};
  now.keep_alive = terms.keep_alive;
  if (core_->options.access_log != nullptr) {
    now.method = header.method;
    now.target = header.target;
  }
  state_ = State::kHandler;
  if (!core_->begin_request()) {
    core_->counters.refused("requests_in_flight").add();
    Response busy = Response::text(503, "too many requests are being answered; try again later\n");
    busy.headers.add("Retry-After", "1");
    answered(ResponseWriter(std::move(busy), terms));
    return true;
  }
  now.in_flight = true;

  Request request = now.parser.take();
  request.peer_address = peer_.address;
  request.peer_port = peer_.port;
  request.peer_is_loopback = peer_.is_loopback;
  request.unix_socket = peer_.is_unix;
  request.unix_uid = peer_.uid;
  request.tls = transport_.tls();
  Reply reply(std::make_shared<AnswerSink>(core_, weak_from_this(), terms), now.cancel);
  const Server::Core::Entry entry(*core_);
  if (!entry) {
    close();
    return false;
  }
  try {
    core_->handler(std::move(request), std::move(reply));
  } catch (const std::exception& error) {
    core_->log.error("a request's handler threw", {{"error", error.what()}});
  }
  return state_ != State::kHandler || read_ahead();
}

// While the handler works: notices that the client goes, and takes a little of what it sends next.
bool Connection::read_ahead() {
  while (readable_ && !peer_ended_ && unparsed().size() < kReadAheadBytesMax) {
    std::array<char, kReadAheadBytesMax> buffer;
    const auto moved = transport_.read(buffer);
    if (moved.outcome == Transport::Outcome::kDone) {
      core_->counters.received_bytes.add(moved.bytes);
      in_.append(buffer.data(), moved.bytes);
      if (!transport_.tls() && moved.bytes < buffer.size()) readable_ = false;
    } else if (moved.outcome == Transport::Outcome::kEnd) {
      peer_ended_ = true;
      exchange_->cancel.cancel();
    } else if (moved.outcome == Transport::Outcome::kBroken) {
      close();
      return false;
    } else {
      readable_ = false;
    }
  }
  if (!readable_ && !peer_ended_) await_read();
  return false;
}

void Connection::answered(ResponseWriter writer) {
  if (state_ != State::kHandler) return;
  Exchange& now = *exchange_;
  now.writer = std::move(writer);
  now.keep_alive = now.keep_alive && now.writer.framed() && !core_->stopping() && !peer_ended_;
  now.writer.begin(now.keep_alive, core_->loop.clock().wall_ms());
  state_ = State::kWrite;
  set_deadline_in_ms(core_->options.write_timeout_ms);
  run();
}

void Connection::refuse(int status, std::string_view reason, std::string text) {
  core_->counters.refused(reason).add();
  if (!exchange_) exchange_ = std::make_unique<Exchange>(core_->options, core_->now_ns());
  text.push_back('\n');
  Exchange& now = *exchange_;
  now.refused = true;
  now.keep_alive = false;
  now.writer = ResponseWriter(Response::text(status, std::move(text)), {.keep_alive = false});
  now.writer.begin(false, core_->loop.clock().wall_ms());
  state_ = State::kWrite;
  set_deadline_in_ms(core_->options.write_timeout_ms);
}

bool Connection::write() {
  std::size_t written = 0;
  int refills = 0;
  for (;;) {
    ResponseWriter& writer = exchange_->writer;
    if (writer.first().empty() && writer.second().empty()) {
      const Server::Core::Entry entry(*core_);
      if (!entry) {
        close();
        return false;
      }
      const auto more = writer.refill();
      if (more == ResponseWriter::More::kEnd) {
        finish_response();
        return state_ != State::kClosed;
      }
      if (more == ResponseWriter::More::kNothingYet) {
        deadline_ns_ = kNever;
        read_ahead();
        if (peer_ended_) close();
        if (state_ == State::kClosed) return false;
        core_->loop.after_ms(kGeneratorPauseMs, [self = shared_from_this()] {
          asio::dispatch(self->descriptor_.get_executor(), [self] { self->run(); });
        });
        return false;
      }
      ++refills;
    } else {
      const auto moved = transport_.write(writer.first(), writer.second());
      if (moved.outcome == Transport::Outcome::kDone) {
        written += moved.bytes;
        exchange_->sent_bytes += moved.bytes;
        core_->counters.sent_bytes.add(moved.bytes);
        writer.sent(moved.bytes);
      } else if (moved.outcome == Transport::Outcome::kWantRead || moved.outcome == Transport::Outcome::kWantWrite) {
        if (written > 0 || deadline_ns_ == kNever) set_deadline_in_ms(core_->options.write_timeout_ms);
        await(moved.outcome);
        return false;
      } else {
        close();
        return false;
      }
    }
    if (written >= kWriteBytesATurn || refills >= kRefillsATurn) {
      run_later();
      return false;
    }
  }
}

void Connection::finish_response() {
  Exchange& now = *exchange_;
  core_->counters.responses[static_cast<std::size_t>(std::clamp(now.writer.status() / 100, 1, 5)) - 1]->add();
  core_->counters.duration.observe(static_cast<double>(core_->now_ns() - now.started_ns) / 1e9);
  log_access();
  if (now.in_flight) core_->end_request();
  now.in_flight = false;
  core_->release_body(now.body_charged);
  now.body_charged = 0;
  if (now.keep_alive && !core_->stopping() && !peer_ended_) {
    exchange_.reset();
    state_ = State::kIdle;
    set_deadline_in_ms(core_->options.idle_timeout_ms);
    if (unparsed().empty() && in_.capacity() > kKeptBufferBytes) in_ = {};
    return;
  }
  transport_.finish_sending();
  if (now.refused) {
    // Closing with bytes unread would reset the connection and take the answer back.
    state_ = State::kLinger;
    readable_ = true;
    set_deadline_in_ms(kLingerMs);
    return;
  }
  close();
}

bool Connection::drain() {
  std::array<char, kReadBytes> buffer;
  for (;;) {
    const auto moved = transport_.read(buffer);
    if (moved.outcome == Transport::Outcome::kDone) {
      exchange_->lingered_bytes += moved.bytes;
      if (exchange_->lingered_bytes <= kLingerBytesMax) continue;
    } else if (moved.outcome == Transport::Outcome::kWantRead) {
      await_read();
      return false;
    }
    close();
    return false;
  }
}

void Connection::log_access() {
  base::Log* const log = core_->options.access_log;
  if (log == nullptr) return;
  const Exchange& now = *exchange_;
  log->record("request", {{"peer", peer_.is_unix ? std::string_view("unix") : std::string_view(peer_.address)},
                          {"method", now.method},
                          {"target", now.target},
                          {"status", now.writer.status()},
                          {"sent_bytes", now.sent_bytes},
                          {"duration_ms", static_cast<double>(core_->now_ns() - now.started_ns) / 1e6}});
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  deadline_ns_ = kNever;
  if (exchange_) {
    exchange_->cancel.cancel();
    if (exchange_->in_flight) core_->end_request();
    core_->release_body(exchange_->body_charged);
    exchange_.reset();
  }
  boost::system::error_code ignored;
  static_cast<void>(descriptor_.close(ignored));
  core_->forget(shared_from_this());
}

void Connection::deadline_passed() {
  const std::int64_t now_ns = core_->now_ns();
  if (state_ == State::kClosed || now_ns < deadline_ns_) return;
  switch (state_) {
    case State::kHeader:
      refuse(408, "timeout",
             fmt::format("the request header took longer than {} ms", core_->options.header_timeout_ms));
      return run();
    case State::kBody:
      refuse(408, "timeout",
             fmt::format("the request body comes slower than {} bytes a second", core_->options.body_bytes_per_s_min));
      return run();
    case State::kHandshake:
      core_->counters.refused("tls_handshake").add();
      return close();
    case State::kWrite:
      core_->counters.refused("slow_reader").add();
      return close();
    case State::kIdle:
    case State::kLinger:
    case State::kHandler:
    case State::kClosed:
      return close();
  }
}

void Connection::await(Transport::Outcome outcome) {
  if (outcome == Transport::Outcome::kWantWrite) {
    await_write();
  } else {
    await_read();
  }
}

void Connection::await_read() {
  if (read_awaited_) return;
  read_awaited_ = true;
  descriptor_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    self->read_awaited_ = false;
    if (error) return;
    self->readable_ = true;
    self->run();
  });
}

void Connection::await_write() {
  if (write_awaited_) return;
  write_awaited_ = true;
  descriptor_.async_wait(Descriptor::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
    self->write_awaited_ = false;
    if (!error) self->run();
  });
}

void Connection::set_deadline_in_ms(std::int64_t ms) {
  deadline_ns_ = core_->now_ns() + ms * 1'000'000;
}

std::int64_t Connection::body_deadline_ns() const {
  const auto& options = core_->options;
  const auto earned_ms =
      static_cast<std::int64_t>(exchange_->parser.body_bytes() * 1000 / options.body_bytes_per_s_min);
  return exchange_->body_started_ns + (options.body_timeout_ms + earned_ms) * 1'000'000;
}

void Connection::consume(std::size_t bytes) {
  in_at_ += bytes;
  QD_ASSERT(in_at_ <= in_.size());
  if (in_at_ == in_.size()) {
    in_.clear();
    in_at_ = 0;
  } else if (in_at_ >= in_.size() / 2) {
    in_.erase(0, in_at_);
    in_at_ = 0;
  }
}

}  // namespace qd::connect::http
