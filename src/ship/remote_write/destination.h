// The setting ship.remote_write, and remote_write of a Prometheus file: where all that the store takes is sent.
//
// Plain values. Names, defaults and meanings are Prometheus's where it has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "connect/http/http_config.h"
#include "model/config/schema.h"
#include "model/relabel.h"

namespace qd::ship::remote_write {

struct QueueConfig {
  std::int64_t min_shards = 1;
  std::int64_t max_shards = 50;
  std::int64_t max_samples_per_send = 2'000;
  std::int64_t batch_send_deadline_ms = 5'000;
  std::int64_t min_backoff_ms = 30;
  std::int64_t max_backoff_ms = 5'000;
  bool operator==(const QueueConfig&) const = default;
};

struct MetadataConfig {
  bool send = true;
  std::int64_t send_interval_ms = 60'000;
  bool operator==(const MetadataConfig&) const = default;
};

// How our own file says who asks. complete() makes an HttpConfig of it.
struct DeclaredHttp {
  std::string user;
  std::string password;
  std::string authorization_type = "Bearer";
  std::string credentials;
  std::string oauth2_client_id;
  std::string oauth2_client_secret;
  std::string oauth2_token_url;
  std::vector<std::string> oauth2_scopes;
  std::string proxy_url;
  connect::http::TlsConfig tls;
};

// As write_relabel_configs has one rule, before it is checked.
struct DeclaredRelabel {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";
  std::int64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  std::string action = "replace";
};

struct Destination {
  std::string url;
  std::string name;  // of its queue on disk and in its metrics; made of the URL where it is empty
  std::int64_t timeout_ms = 30'000;
  std::string protobuf_message = "prometheus.WriteRequest";
  bool send_exemplars = false;
  bool send_native_histograms = false;
  std::map<std::string, std::string> headers;
  DeclaredHttp declared;
  std::vector<DeclaredRelabel> declared_relabel;
  connect::http::HttpConfig http;
  QueueConfig queue;
  MetadataConfig metadata;
  std::uint64_t queue_bytes = 4ULL << 30;  // that may wait on disk
  model::Relabeller relabel;               // of what is sent, external labels included

  bool sends_v2() const;
};

struct ShipSettings {
  std::vector<Destination> remote_write;
};

void declare(model::config::Schema& schema, ShipSettings& settings);

enum class DestinationSource : std::uint8_t { kOwnFile, kPrometheusFile };

// Gives a name to each that has none, and makes `http` and `relabel` of what our own file declares. kInvalid, with the
// cure: a URL that cannot be, two of one name, a message that is not known, more shards at least than at most, two ways
// to prove who asks, credentials that would leave this machine in the clear (in our own file).
base::Status complete(std::vector<Destination>& destinations, DestinationSource source);

}  // namespace qd::ship::remote_write
