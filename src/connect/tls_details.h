// What a TLS session came to: version, cipher, and the certificates of the server.
//
// Names are written as blackbox_exporter shows them (RFC 2253, most specific first, in the fixed order of Go's
// pkix.Name), so that series of both are the same. Plain values, to be read by any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

struct ssl_st;  // SSL of OpenSSL

namespace qd::connect {

struct TlsDetails {
  std::string version;                            // "TLS 1.3"
  std::string cipher;                             // by its IANA name: "TLS_AES_128_GCM_SHA256"
  std::optional<std::int64_t> earliest_expiry_s;  // of what the server sent, seconds since the epoch
  std::optional<std::int64_t> verified_expiry_s;  // the earliest of the chain that was verified; none when none was
  std::string fingerprint_sha256;                 // of the server's own certificate, lower-case hexadecimal
  std::string subject;
  std::string issuer;
  std::string dns_names;  // separated by commas; the first kDnsNamesBytesMax bytes of whole names
  std::string serial;     // lower-case hexadecimal
};

inline constexpr std::size_t kDnsNamesBytesMax = 16 << 10;
// Certificates of a chain that are looked at.
inline constexpr int kChainMax = 64;

// Of a session whose handshake is done.
TlsDetails tls_details(ssl_st* session);

}  // namespace qd::connect
