// The section ship.objects: an S3-compatible store that blocks are uploaded to.
#pragma once

#include <cstdint>
#include <string>

#include "model/config/schema.h"

namespace qd::ship::objects {

struct ObjectSettings {
  std::string endpoint;  // nothing is uploaded when empty
  std::string bucket;
  std::string region = "us-east-1";
  std::string access_key;
  std::string secret_key;
  std::string prefix;
  std::string ca_file;
  std::int64_t timeout_ms = 5LL * 60 * 1000;  // of one request
  std::uint64_t part_bytes = 64ULL << 20;     // larger files go in parts of this size

  bool enabled() const { return !endpoint.empty(); }
};

void declare(model::config::Schema& schema, ObjectSettings& settings);

// kInvalid, with the cure: an endpoint that is no URL, no bucket, no keys, or keys that would leave this machine in the
// clear.
base::Status check(const ObjectSettings& settings);

}  // namespace qd::ship::objects
