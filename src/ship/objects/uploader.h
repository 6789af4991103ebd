// Puts files into an S3-compatible bucket: whole or in parts, with retries, and looks afterwards that they are there.
//
// The store checks each request's body against the checksums that are sent with it; when all is done, each object's
// size is asked for. One thread at a time; every call waits for the store's answers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "model/sample.h"
#include "ship/objects/settings.h"
#include "ship/objects/signature.h"

namespace qd::ship::objects {

// A request as it goes out, and what came back. Header names are in lower case.
struct Outgoing {
  std::string method;
  std::string url;
  std::map<std::string, std::string> headers;
  std::string body;
};
struct Answer {
  int status = 0;
  std::uint64_t content_length = 0;  // of a HEAD, what GET would give
  std::string etag;
  std::string body;
};

struct Surroundings {
  // Waits for the answer. kUnavailable and kTimeout are tried again; other errors are not.
  std::function<base::Result<Answer>(Outgoing)> send;
  std::function<model::TimestampMs()> now_ms;
  // Waits before the next try; false when the process ends meanwhile.
  std::function<bool(std::int64_t)> wait_ms;
};

class Uploader {
 public:
  Uploader(base::Files& files, ObjectSettings settings, Surroundings surroundings);

  // One file as the object `key`, which it replaces. kUnavailable after several tries; kPermission and kInvalid with
  // what the store said.
  base::Status put(const std::filesystem::path& file, const std::string& key);
  // kNotFound, or kCorrupt when its size is another.
  base::Status check(const std::string& key, std::uint64_t bytes);
  std::uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  base::Result<Answer> ask(const std::string& method, const std::string& key, std::map<std::string, std::string> query,
                           const std::string& body);
  base::Status put_in_parts(const base::File& file, std::uint64_t size, const std::string& key);
  base::Result<std::string> put_parts(const base::File& file, std::uint64_t size, const std::string& key,
                                      const std::string& upload);

  base::Files& files_;
  const ObjectSettings settings_;
  const Surroundings surroundings_;
  std::string host_;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace qd::ship::objects
