// How a server is to be spoken to, read from the Prometheus file. Private to this room.
#pragma once

#include <string>

#include "connect/http/http_config.h"
#include "observe/scrape/config_reader.h"

namespace qd::observe::scrape {

// The keys that stand beside others in a scrape config, a discovery, an Alertmanager, a remote write:
//
//   HttpFields http(reader, config.http);
//   http.add_to(keys);
//   reader.mapping(node, …, keys);
//   http.finish(node);
class HttpFields {
 public:
  using Node = Reader::Node;
  HttpFields(Reader& reader, connect::http::HttpConfig& config) : reader_(reader), config_(config) {}

  void add_to(Reader::Keys& keys);
  // What the keys say together.
  void finish(const Node& node);
  // Whether any of them stands there.
  bool given() const { return given_; }

 private:
  connect::http::BasicAuthConfig basic_auth(const Node& node);
  connect::http::AuthorizationConfig authorization(const Node& node);
  connect::http::OAuth2Config oauth2(const Node& node);
  void tls(const Node& node, connect::http::TlsConfig& config);
  void headers(const Node& node);
  void add_proxy(Reader::Keys& keys, connect::http::ProxyConfig& proxy);
  void check_proxy(const Node& node, const connect::http::ProxyConfig& proxy);

  Reader& reader_;
  connect::http::HttpConfig& config_;
  std::string bearer_token_;
  std::string bearer_token_file_;
  bool given_ = false;
};

// A `tls_config` alone.
void read_tls(Reader& reader, const Reader::Node& node, connect::http::TlsConfig& config);
// Headers that are set by whoever sends, or by other keys.
bool reserved_header(std::string_view name);

}  // namespace qd::observe::scrape
