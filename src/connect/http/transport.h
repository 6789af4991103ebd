// The bytes of one accepted connection: a non-blocking socket, with TLS over it or without. One thread at a time.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::connect::http {

using TlsContext = std::shared_ptr<SSL_CTX>;

// TLS 1.2 or newer with this certificate, offering HTTP/1.1 by ALPN. kInvalid names the file that does not load, or
// says that key and certificate do not belong together.
base::Result<TlsContext> make_server_tls(const std::string& cert_file, const std::string& key_file);

class Transport {
 public:
  enum class Outcome {
    kDone,       // `bytes` were moved (at least one)
    kWantRead,   // try again once the socket is readable
    kWantWrite,  // try again once it is writable
    kEnd,        // the peer sends no more
    kBroken,     // nothing can be moved any more
  };
  struct Moved {
    Outcome outcome;
    std::size_t bytes = 0;
  };

  // Takes no ownership of `fd`. `tls` is null for plain text.
  Transport(int fd, const TlsContext& tls);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  bool tls() const { return ssl_ != nullptr; }
  // kDone once the TLS handshake is through.
  Outcome handshake();
  Moved read(std::span<char> into);
  // Sends `first` and then `second`, as much as the socket takes now.
  Moved write(std::string_view first, std::string_view second);
  // Says that nothing more will be sent; what the peer still sends can be read.
  void finish_sending();

 private:
  Outcome ssl_outcome(int result);

  const int fd_;
  SSL* ssl_ = nullptr;
  bool broken_ = false;
};

}  // namespace qd::connect::http
