// The setting ship.remote_write, and remote_write of a Prometheus file: where all that the store takes is sent.
//
// Plain values. Names, defaults and meanings are Prometheus's where it has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/config/schema.h"
#include "model/labels.h"

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

struct DestinationTls {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  bool operator==(const DestinationTls&) const = default;
};

// Of one destination. Gives the labels under which a series is sent, or nothing where it is not sent. Thread-safe.
using Relabel = std::function<std::optional<model::LabelSet>(const model::LabelSet&)>;

struct Destination {
  std::string url;
  std::string name;  // of its queue on disk and in its metrics; made of the URL where it is empty
  std::int64_t timeout_ms = 30'000;
  std::string protobuf_message = "prometheus.WriteRequest";
  bool send_exemplars = false;
  bool send_native_histograms = false;
  std::map<std::string, std::string> headers;
  // At most one of them: basic authentication, or `type credentials`.
  std::string user;
  std::string password;
  std::string authorization_type = "Bearer";
  std::string credentials;
  DestinationTls tls;
  QueueConfig queue;
  MetadataConfig metadata;
  std::uint64_t queue_bytes = 4ULL << 30;  // that may wait on disk
  Relabel relabel;                         // all series as they are, where there is none

  bool sends_v2() const;
};

struct ShipSettings {
  std::vector<Destination> remote_write;
};

void declare(model::config::Schema& schema, ShipSettings& settings);

enum class DestinationSource : std::uint8_t { kOwnFile, kPrometheusFile };

// Gives a name to each that has none. kInvalid, with the cure: a URL that cannot be, two of one name, a message that is
// not known, more shards at least than at most, two ways to prove who asks, credentials that would leave this machine
// in the clear (in our own file).
base::Status complete(std::vector<Destination>& destinations, DestinationSource source);

}  // namespace qd::ship::remote_write
