#include "connect/tls_authorities.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/mutex.h"

namespace qd::connect {
namespace {

struct Free {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
};

// Of a file or a directory; zeros where there is none.
using State = std::array<std::int64_t, 4>;

State state_of(const char* variable, const char* usual) {
  const char* path = std::getenv(variable);
  struct stat found{};
  if (::stat(path != nullptr ? path : usual, &found) != 0) return {};
  return {static_cast<std::int64_t>(found.st_ino), found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_size};
}

// One for the process: the authorities are the machine's, and sessions come from everywhere.
class Kept {
 public:
  bool give(SSL_CTX* context) {
    const std::array<State, 2> now = {state_of(X509_get_default_cert_file_env(), X509_get_default_cert_file()),
                                      state_of(X509_get_default_cert_dir_env(), X509_get_default_cert_dir())};
    const base::MutexLock lock(mutex_);
    if (!store_ || now != read_) {
      store_.reset(X509_STORE_new());
      // Without the file there is the directory, and without both nothing is trusted.
      if (!store_ || X509_STORE_set_default_paths(store_.get()) != 1) return false;
      read_ = now;
    }
    SSL_CTX_set1_cert_store(context, store_.get());
    return true;
  }

 private:
  base::Mutex mutex_;
  std::unique_ptr<X509_STORE, Free> store_ QD_GUARDED_BY(mutex_);
  std::array<State, 2> read_ QD_GUARDED_BY(mutex_);
};

}  // namespace

bool trust_system_authorities(ssl_ctx_st* context) {
  static Kept kept;
  return kept.give(context);
}

}  // namespace qd::connect
