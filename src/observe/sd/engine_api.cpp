#include "observe/sd/engine_api.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

namespace qd::observe::sd {

using base::ErrorCode;
namespace json = boost::json;

namespace {

constexpr std::uint64_t kAnswerBytesMax = 64 << 20;
constexpr std::size_t kSaidBytesMax = 200;

std::string filters_parameter(const std::vector<EngineFilter>& filters) {
  if (filters.empty()) return {};
  json::object object;
  for (const EngineFilter& filter : filters) {
    json::array values;
    for (const std::string& value : filter.values) values.emplace_back(value);
    object[filter.name] = std::move(values);
  }
  return "?filters=" + connect::http::percent_encode(json::serialize(object));
}

connect::http::ClientRequest request_of(const EngineAddress& engine) {
  connect::http::ClientRequest request;
  request.deadline_ms = engine.deadline_ms;
  request.body_bytes_max = kAnswerBytesMax;
  const std::size_t at = engine.host.find("://");
  const std::string scheme = engine.host.substr(0, at);
  const std::string rest = at == std::string::npos ? engine.host : engine.host.substr(at + 3);
  const auto& tls = engine.http.tls;
  const bool secure = scheme == "https" || (scheme == "tcp" && tls != connect::http::TlsConfig());
  if (scheme == "unix") {
    request.url = "http://docker";
    request.unix_socket_path = rest;
  } else {
    request.url = (secure ? "https://" : "http://") + rest;
    while (request.url.ends_with('/')) request.url.pop_back();
  }
  return request;
}

}  // namespace

base::Result<json::array> get_list(const EngineAddress& engine, const Surroundings& surroundings, std::string_view path,
                                   const std::vector<EngineFilter>& filters) {
  auto request = request_of(engine);
  request.url.append(path).append(filters_parameter(filters));
  request.headers.add("User-Agent", surroundings.user_agent);
  QD_ASSIGN(const auto response, fetch_and_wait(surroundings.fetch, engine.http, std::move(request)));
  boost::system::error_code error;
  json::value answer = json::parse(response.body, error);
  if (response.status != 200) {
    const std::string said = error ? std::string() : text(answer, "message");
    return base::fail(ErrorCode::kUnavailable,
                      fmt::format("the engine at {} answered {} to {}{}{}", engine.host, response.status, path,
                                  said.empty() ? "" : ": ", said.substr(0, kSaidBytesMax)));
  }
  // Go writes an empty list as null.
  if (!error && answer.is_null()) return json::array();
  if (error || !answer.is_array())
    return base::fail(ErrorCode::kCorrupt, fmt::format("the engine at {} answered {} with no list", engine.host, path));
  return std::move(answer.as_array());
}

const json::value& field(const json::value& value, std::string_view key) {
  static const json::value null;
  const json::object* const object = value.if_object();
  const json::value* const found = object == nullptr ? nullptr : object->if_contains(key);
  return found == nullptr ? null : *found;
}

std::string text(const json::value& value, std::string_view key) {
  const json::string* const found = field(value, key).if_string();
  return found == nullptr ? std::string() : std::string(found->data(), found->size());
}

std::string scalar(const json::value& value, std::string_view key) {
  const json::value& found = field(value, key);
  if (found.is_bool()) return found.as_bool() ? "true" : "false";
  if (found.is_int64()) return std::to_string(found.as_int64());
  if (found.is_uint64()) return std::to_string(found.as_uint64());
  return found.is_string() ? text(value, key) : std::string();
}

const json::array& items(const json::value& value) {
  static const json::array none;
  const json::array* const found = value.if_array();
  return found == nullptr ? none : *found;
}

void add_labels(model::LabelBuilder& into, std::string_view prefix, const json::value& value) {
  const json::object* const object = value.if_object();
  if (object == nullptr) return;
  for (const auto& [name, one] : *object) {
    if (!one.is_string()) continue;
    const json::string& found = one.as_string();
    into.set(std::string(prefix) + label_part(name), std::string_view(found.data(), found.size()));
  }
}

void add_all(model::LabelBuilder& into, const model::LabelSet& labels) {
  for (const model::Label& label : labels) into.set(label.name, label.value);
}

base::Result<std::map<std::string, model::LabelSet>> get_networks(const EngineAddress& engine,
                                                                  const Surroundings& surroundings,
                                                                  std::string_view prefix) {
  QD_ASSIGN(const json::array networks, get_list(engine, surroundings, "/networks", {}));
  std::map<std::string, model::LabelSet> out;
  for (const json::value& network : networks) {
    const std::string start(prefix);
    model::LabelBuilder labels;
    labels.set(start + "id", text(network, "Id"));
    labels.set(start + "name", text(network, "Name"));
    labels.set(start + "scope", text(network, "Scope"));
    labels.set(start + "internal", scalar(network, "Internal"));
    labels.set(start + "ingress", scalar(network, "Ingress"));
    add_labels(labels, start + "label_", field(network, "Labels"));
    out[text(network, "Id")] = labels.build();
  }
  return out;
}

}  // namespace qd::observe::sd
