#include <fmt/format.h>

#include "connect/stream.h"
#include "observe/probe/families.h"
#include "observe/probe/job.h"

namespace qd::observe::probe {
namespace {

using base::ErrorCode;
using connect::Stream;

constexpr std::size_t kLineBytesMax = 64 << 10;

class TcpProbe {
 public:
  TcpProbe(const TcpModule& module, Job& job) : module_(module), job_(job) {}

  base::Status run() {
    job_.samples.set(kFailedDueToRegex, 0);
    QD_ASSIGN(const auto server, split_target(job_.target, 0));
    double lookup_s = 0;
    QD_ASSIGN(const auto address, choose_address(server.host, server.port, module_.ip, job_, lookup_s));
    // The certificate is for the name that was asked for.
    tls_ = module_.tls;
    if (tls_.server_name.empty()) tls_.server_name = job_.hostname;
    host_ = server.host;
    job_.journal.info(tls_.enabled ? "Dialing TCP with TLS" : "Dialing TCP without TLS", {});
    auto stream = Stream::open({.address = job_.target,
                                .tls = tls_,
                                .resolved = {address},
                                .source_ip = module_.source_ip,
                                .cancel = job_.cancel},
                               job_.clock, job_.deadline_ns);
    if (!stream) {
      job_.journal.error("Error dialing TCP", {{"err", stream.error().message()}});
      return base::fail(stream.error());
    }
    job_.journal.info("Successfully dialed");
    stream_ = std::move(*stream);
    tell_session();
    for (std::size_t i = 0; i < module_.dialogue.size(); ++i) QD_TRY(step(i, module_.dialogue[i]));
    return {};
  }

 private:
  void tell_session() {
    if (const auto tls = stream_->tls_details()) tell_tls(*tls, true, job_.samples);
  }

  base::Status step(std::size_t number, const QueryResponse& entry) {
    job_.journal.info("Processing query response entry", {{"entry_number", std::to_string(number)}});
    std::string line;
    std::vector<std::string_view> groups;
    if (!entry.expect.is_empty()) {
      QD_TRY(expect(entry.expect, line));
      groups = entry.expect.groups(line).value_or(std::vector<std::string_view>());
      job_.samples.set(kFailedDueToRegex, 0);
      if (!entry.labels.empty()) {
        Samples::Labels labels;
        for (const auto& [name, value] : entry.labels) labels.emplace_back(name, entry.expect.expand(value, groups));
        job_.samples.set(kExpectInfo, 1, std::move(labels));
      }
    }
    if (!entry.send.empty()) {
      const std::string text = entry.expect.is_empty() ? entry.send : entry.expect.expand(entry.send, groups);
      job_.journal.info("Sending line", {{"line", text}});
      QD_TRY(stream_->write_all(text + "\n", job_.deadline_ns));
    }
    if (entry.start_tls) {
      job_.journal.info("Upgrading connection to TLS");
      QD_TRY(stream_->start_tls(tls_, host_, job_.deadline_ns));
      tell_session();
    }
    return {};
  }

  // Reads on until a line matches, which is put into `line`.
  base::Status expect(const Pattern& pattern, std::string& line) {
    for (;;) {
      const auto read = stream_->read_line(kLineBytesMax, job_.deadline_ns);
      if (read) {
        line = *read;
      } else if (read.error().code() == ErrorCode::kUnavailable) {
        // At the end, what stands there without an end is a line as well.
        line = stream_->unread();
        if (!line.empty() && pattern.matches(line)) return {};
        job_.samples.set(kFailedDueToRegex, 1);
        job_.journal.error("Regexp did not match", {{"regexp", pattern.text()}, {"line", line}});
        return base::fail(
            ErrorCode::kUnavailable,
            fmt::format("{}: the server closed the connection, and no line matched {:?}", job_.target, pattern.text()));
      } else {
        job_.journal.error("Error reading from connection", {{"err", read.error().message()}});
        return base::fail(read.error().within(fmt::format("waiting for a line that matches {:?}", pattern.text())));
      }
      job_.journal.info("Read line", {{"line", line}});
      if (pattern.matches(line)) return {};
    }
  }

  const TcpModule& module_;
  Job& job_;
  connect::TlsOptions tls_;
  std::string host_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace

base::Status probe_tcp(const TcpModule& module, Job& job) {
  return TcpProbe(module, job).run();
}

}  // namespace qd::observe::probe
