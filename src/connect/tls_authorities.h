// The authorities that the system trusts, read once and shared by all sessions: to read them takes 20 ms, which would
// count as the time of each handshake.
#pragma once

struct ssl_ctx_st;  // SSL_CTX of OpenSSL

namespace qd::connect {

// Has sessions of `context` trust what the system trusts (OpenSSL's default file and directory, or SSL_CERT_FILE and
// SSL_CERT_DIR), and nothing else. What is kept is read again when the file or the directory changed. False when memory
// is short. Thread-safe.
bool trust_system_authorities(ssl_ctx_st* context);

}  // namespace qd::connect
