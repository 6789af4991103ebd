// The TLS of one connect::Stream, apart from its socket: bytes of the wire go in and out as text.
//
// Not thread-safe. Errors are kPermission for what is about certificates, kInvalid for files that cannot be read, and
// kUnavailable for a peer that does not speak TLS or ends it; they do not name the address.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "connect/stream.h"

namespace qd::connect {

class TlsSession {
 public:
  // `host` is what the certificate must be for unless options.server_name is set: a name or a numeric address.
  static base::Result<std::unique_ptr<TlsSession>> create(const TlsOptions& options, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // What came from the peer.
  void give(std::string_view wire_bytes);
  // Appends what has to go to the peer, after each of the calls below.
  void take(std::string& wire_bytes);

  // True when the handshake is done, false when it needs more from the peer.
  base::Result<bool> handshake();
  // Bytes put into `to`; 0 when it needs more from the peer.
  base::Result<std::size_t> read(char* to, std::size_t size);
  base::Status write(std::string_view bytes);

  // Once the handshake is done.
  TlsDetails details() const;

 private:
  struct Handles;
  explicit TlsSession(std::unique_ptr<Handles> handles);
  base::Error explain(int result) const;

  std::unique_ptr<Handles> handles_;
};

}  // namespace qd::connect
