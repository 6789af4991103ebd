// One transfer as libcurl sees it: an easy handle set up from a ClientRequest, and what comes back through it.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "connect/http/client.h"

namespace qd::connect::http {

struct CurlFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using EasyHandle = std::unique_ptr<CURL, CurlFree>;
using CurlList = std::unique_ptr<curl_slist, CurlFree>;

// Stays where it is while curl works: the handle points to it.
class EasyTransfer {
 public:
  // kInvalid when the request cannot be right. `shown_url` is the URL without user, password and query.
  static base::Result<std::string> check(const ClientRequest& request);

  EasyTransfer(ClientRequest request, std::string shown_url);
  EasyTransfer(const EasyTransfer&) = delete;
  EasyTransfer& operator=(const EasyTransfer&) = delete;

  // Sets `easy`, which is fresh or reset, up for at most `remaining_ms`.
  base::Status prepare(EasyHandle easy, std::int64_t remaining_ms, std::int64_t connect_timeout_ms);
  CURL* easy() const { return easy_.get(); }
  EasyHandle release_easy() { return std::move(easy_); }

  // What the transfer gave, when curl is done with it.
  base::Result<ClientResponse> result(CURLcode code);
  base::Error error(base::ErrorCode code, std::string_view happened) const;
  std::uint64_t received_bytes() const { return received_bytes_; }
  // Goes on beyond its deadline once the header is there.
  bool streams() const { return static_cast<bool>(request_.on_body); }
  bool answered() const { return answered_; }
  base::Error timed_out() const;

 private:
  static std::size_t take_body(char* bytes, std::size_t size, std::size_t n, void* self);
  static std::size_t take_header(char* bytes, std::size_t size, std::size_t n, void* self);
  base::Error explain(CURLcode code) const;
  base::Error explain_unconnected(std::string_view said) const;
  bool take_piece(std::string_view piece);
  base::Status set_target();
  void set_tls();
  base::Status set_proxy();
  base::Status set_headers();

  const ClientRequest request_;
  const std::string shown_url_;
  std::int64_t connect_timeout_ms_ = 0;
  EasyHandle easy_;
  CurlList headers_;
  CurlList connect_to_;
  CurlList proxy_headers_;
  std::array<char, CURL_ERROR_SIZE> curl_says_{};
  ClientResponse response_;
  std::uint64_t header_bytes_ = 0;
  std::uint64_t received_bytes_ = 0;
  bool answered_ = false;  // the header of the last response is whole
  bool stopped_ = false;   // by on_body
  bool body_too_large_ = false;
  bool header_too_large_ = false;
};

}  // namespace qd::connect::http
