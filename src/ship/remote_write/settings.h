// The section forward: where what this host observes is sent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/result.h"
#include "model/config/schema.h"

namespace qd::ship::remote_write {

// The least that a queue on disk may hold.
inline constexpr std::uint64_t kQueueBytesMin = 16 << 20;

struct ForwardSettings {
  std::string url;  // nothing is forwarded when empty
  std::string token;
  std::string user;
  std::string password;
  std::string host;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::int64_t timeout_ms = 30'000;
  std::uint64_t queue_bytes = 1ULL << 30;

  bool enabled() const { return !url.empty(); }
};

void declare(model::config::Schema& schema, ForwardSettings& settings);

// Where requests go: `url`, with /api/v1/write where it names no path.
std::string write_url(const std::string& url);

// `url` for people: a query, which some receivers need and which may hold a key, is <secret>.
std::string shown_url(const std::string& url);

// kInvalid, with the cure: a URL that cannot be, credentials in it, a token and a user at once, or credentials that
// would leave this machine in the clear.
base::Status check(const ForwardSettings& settings);

// Whether the PEM files that are named can be read and hold one; kInvalid and the like name setting and file. `section`
// is what the names of the settings begin with.
struct PemFiles {
  std::string_view ca_file;
  std::string_view cert_file;
  std::string_view key_file;
};
base::Status check_files(const PemFiles& named, std::string_view section, base::Files& files);

}  // namespace qd::ship::remote_write
