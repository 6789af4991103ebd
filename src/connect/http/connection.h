// One accepted connection: reads requests, has them handled one after the other, sends the responses.
//
// A state machine on a strand of the loop. An idle one holds no buffer and no parser. Its time-outs are one deadline,
// which the server looks at now and then, so that no timer is set for each request.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "connect/http/request_parser.h"
#include "connect/http/response_writer.h"
#include "connect/http/server_core.h"

namespace qd::connect::http {

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  // kUnavailable when the loop cannot watch the socket.
  static base::Result<std::shared_ptr<Connection>> make(std::shared_ptr<Server::Core> core, Accepted accepted,
                                                        const TlsContext& tls);
  Connection(std::shared_ptr<Server::Core> core, Accepted accepted, const TlsContext& tls);

  // From any thread; each does its work on the strand.
  void start();
  void close_if_idle();
  void close_now();
  // Cheap: on the strand only when the deadline has passed.
  void check_deadline(std::int64_t now_ns);

 private:
  enum class State { kHandshake, kIdle, kHeader, kBody, kHandler, kWrite, kLinger, kClosed };
  class AnswerSink;
  struct Exchange;

  // Each returns true when there is more to do at once.
  bool step();
  bool shake_hands();
  bool receive();
  bool parse();
  bool look_at_header();
  bool dispatch();
  bool read_ahead();
  bool write();
  bool drain();

  void run();
  void run_later();
  void answered(ResponseWriter writer);
  void refuse(int status, std::string_view reason, std::string text);
  void finish_response();
  void log_access();
  void close();
  void deadline_passed();

  void await_read();
  void await_write();
  void await(Transport::Outcome outcome);
  void set_deadline_in_ms(std::int64_t ms);
  std::int64_t body_deadline_ns() const;
  std::string_view unparsed() const { return std::string_view(in_).substr(in_at_); }
  void consume(std::size_t bytes);

  const std::shared_ptr<Server::Core> core_;
  const Peer peer_;
  Descriptor descriptor_;
  Transport transport_;
  State state_;
  bool running_ = false;   // inside run()
  bool readable_ = false;  // a read may give something
  bool read_awaited_ = false;
  bool write_awaited_ = false;
  bool peer_ended_ = false;  // the peer sends no more
  std::atomic<std::int64_t> deadline_ns_;
  std::string in_;  // received, not parsed yet
  std::size_t in_at_ = 0;
  std::unique_ptr<Exchange> exchange_;  // of the request that is being read, handled or answered
};

}  // namespace qd::connect::http
