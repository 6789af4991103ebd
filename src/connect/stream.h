// A connection to a server that is asked and waited for: bytes over TCP or a Unix socket, in TLS where wanted.
//
// Every call has a deadline (on the monotonic clock of `clock`) and blocks the caller's thread no longer, whatever the
// server does; only the look-up of a name may leave a thread behind (connect/resolve.h). Errors name the address and
// are kTimeout (the deadline), kUnavailable (no connection, or the server closed it), kLimit (an answer larger than the
// caller allowed), kPermission (TLS: the certificate is not trusted, or the server wants another one), kInvalid (the
// options), kCancelled. After an error the stream is of no more use: close it and open another.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "connect/resolve.h"
#include "connect/tls_details.h"

namespace qd::connect {

// kUsual: what is safe today, TLS 1.2 and newer.
enum class TlsVersion : std::uint8_t { kUsual, kTls10, kTls11, kTls12, kTls13 };

struct TlsOptions {
  bool enabled = false;
  std::string ca_file;      // PEM; empty: the authorities that the system trusts
  std::string server_name;  // what the certificate is for; empty: the host of the address
  std::string cert_file;    // PEM, for servers that want one of their clients; with key_file
  std::string key_file;
  bool insecure_skip_verify = false;  // takes any certificate
  TlsVersion min_version = TlsVersion::kUsual;
  TlsVersion max_version = TlsVersion::kUsual;

  bool operator==(const TlsOptions&) const = default;
};

struct StreamOptions {
  std::string address;  // "host:port", "[v6]:port", "/path/of.sock"
  TlsOptions tls = {};
  std::vector<SocketAddress> resolved = {};      // where to connect, when the caller knows; else `address` is asked for
  std::string source_ip = {};                    // connects from this address of the machine
  std::optional<base::CancelToken> cancel = {};  // ends whatever waits, within kCancelMs, as kCancelled
};

class TlsSession;

class Stream {
 public:
  // Connects to the first of the server's addresses that answers; the time left is divided between those to be tried.
  // With TLS, the handshake is done and the certificate verified. `clock` outlives the stream.
  static base::Result<std::unique_ptr<Stream>> open(const StreamOptions& options, const base::Clock& clock,
                                                    std::int64_t deadline_ns);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Up to the next '\n', without it and without a '\r' before it. kLimit when it has more than `limit_bytes`. The text
  // is valid until the next read.
  base::Result<std::string_view> read_line(std::size_t limit_bytes, std::int64_t deadline_ns);
  // Exactly `n` bytes, valid until the next read. The caller bounds `n`; memory is taken as bytes come.
  base::Result<std::string_view> read_exact(std::size_t n, std::int64_t deadline_ns);
  base::Status write_all(std::string_view bytes, std::int64_t deadline_ns);

  // Goes on in TLS, as after STARTTLS: the handshake is done and the certificate verified against `host`, unless
  // `tls` has a server_name. What the server sent before and was not read is dropped: nothing vouches for it.
  base::Status start_tls(const TlsOptions& tls, const std::string& host, std::int64_t deadline_ns);

  const std::string& address() const { return address_; }
  // What came and was not given out yet. Valid until the next read.
  std::string_view unread() const { return std::string_view(buffer_).substr(read_at_); }
  // Nothing without TLS.
  std::optional<TlsDetails> tls_details() const;
  // Bytes that came in all, without those of TLS.
  std::uint64_t received_bytes() const { return received_bytes_; }

 private:
  Stream(const StreamOptions& options, const base::Clock& clock);
  base::Status connect_to(const SocketAddress& address, std::int64_t deadline_ns);
  base::Status bind_source(int family);
  base::Status fill(std::int64_t deadline_ns);
  base::Result<std::size_t> receive(char* to, std::size_t size, std::int64_t deadline_ns);
  base::Status send(std::string_view bytes, std::int64_t deadline_ns);
  base::Status send_outgoing(std::int64_t deadline_ns);
  base::Status wait(short events, std::int64_t deadline_ns, std::string_view for_what);
  std::unexpected<base::Error> failed(base::ErrorCode code, std::string_view what) const;

  const std::string address_;
  const std::string source_ip_;
  const std::optional<base::CancelToken> cancel_;
  const base::Clock& clock_;
  int socket_ = -1;
  std::unique_ptr<TlsSession> tls_;
  std::string buffer_;  // what came; from read_at_ on not yet given out
  std::size_t read_at_ = 0;
  std::string outgoing_;  // of TLS, on its way to the socket
  std::uint64_t received_bytes_ = 0;
};

}  // namespace qd::connect
