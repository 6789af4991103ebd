// How a request to S3 proves who asks: AWS Signature Version 4, the signature in a header.
//
// Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference.
// Pure functions, any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "model/sample.h"

namespace qd::ship::objects {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string region;
};

struct SignedRequest {
  std::string method;
  std::string path;                            // as it is, not encoded
  std::map<std::string, std::string> query;    // not encoded
  std::map<std::string, std::string> headers;  // names in lower case; host among them
  std::string body_sha256;                     // in hexadecimal
};

// Adds x-amz-date and x-amz-content-sha256 to the headers, and gives what Authorization must say.
std::string sign(SignedRequest& request, const Credentials& credentials, model::TimestampMs now_ms);

// The path and query of a URL, as they are signed and must be sent.
std::string target_of(const SignedRequest& request);

std::string sha256_hex(std::string_view bytes);
// As the header Content-MD5 has it.
std::string md5_base64(std::string_view bytes);

}  // namespace qd::ship::objects
