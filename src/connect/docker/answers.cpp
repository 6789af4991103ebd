#include "connect/docker/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <optional>
#include <utility>

#include "base/strings.h"

namespace qd::connect::docker {
namespace {

namespace json = boost::json;
using base::ErrorCode;

constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kMessageBytesMax = 200;

// `memory` holds the value and outlives it.
base::Result<json::value> parse(std::string_view text, std::string_view what, json::monotonic_resource& memory) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error, &memory, options);
  if (error) {
    return base::fail(ErrorCode::kCorrupt,
                      fmt::format("the engine's {} is no JSON that can be read: {}", what, error.message()));
  }
  return base::Result<json::value>(std::in_place, std::move(value));
}

base::Error not_understood(std::string_view what) {
  return {ErrorCode::kCorrupt, fmt::format("the engine's {} does not have the form that its API says", what)};
}

// The value below keys, one in the other; null when there is none.
const json::value* at(const json::value& value, std::initializer_list<std::string_view> keys) {
  const json::value* found = &value;
  for (const std::string_view key : keys) {
    const json::object* const object = found->if_object();
    found = object == nullptr ? nullptr : object->if_contains({key.data(), key.size()});
    if (found == nullptr) return nullptr;
  }
  return found;
}

std::string_view view_of(const json::value* value) {
  const json::string* const text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}

std::string text_at(const json::value& value, std::initializer_list<std::string_view> keys) {
  return std::string(view_of(at(value, keys)));
}

std::int64_t integer_at(const json::value& value, std::initializer_list<std::string_view> keys) {
  const json::value* const found = at(value, keys);
  if (found == nullptr) return 0;
  if (const std::int64_t* const number = found->if_int64()) return *number;
  return 0;
}

bool flag_at(const json::value& value, std::initializer_list<std::string_view> keys) {
  const json::value* const found = at(value, keys);
  const bool* const flag = found == nullptr ? nullptr : found->if_bool();
  return flag != nullptr && *flag;
}

const json::array* array_at(const json::value& value, std::initializer_list<std::string_view> keys) {
  const json::value* const found = at(value, keys);
  return found == nullptr ? nullptr : found->if_array();
}

const json::object* object_at(const json::value& value, std::initializer_list<std::string_view> keys) {
  const json::value* const found = at(value, keys);
  return found == nullptr ? nullptr : found->if_object();
}

// "0001-01-01T00:00:00Z" stands for never.
std::int64_t time_ms_at(const json::value& value, std::initializer_list<std::string_view> keys) {
  const std::string_view text = view_of(at(value, keys));
  if (text.empty()) return 0;
  const auto ms = base::parse_time_ms(text);
  return ms && *ms > 0 ? *ms : 0;
}

class Budget {
 public:
  bool take(std::size_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  std::size_t left_ = kTextBytesMax;
};

std::map<std::string, std::string> labels_of(const json::object* object) {
  std::map<std::string, std::string> labels;
  if (object == nullptr) return labels;
  Budget budget;
  for (const auto& entry : *object) {
    const std::string_view text = view_of(&entry.value());
    if (budget.take(entry.key().size() + text.size())) labels.emplace(entry.key(), text);
  }
  return labels;
}

std::map<std::string, std::string> environment_of(const json::array* array) {
  std::map<std::string, std::string> environment;
  if (array == nullptr) return environment;
  Budget budget;
  for (const json::value& item : *array) {
    const std::string_view text = view_of(&item);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0 || !budget.take(text.size())) continue;
    environment.insert_or_assign(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
  }
  return environment;
}

std::vector<std::string> command_of(const json::value& container) {
  std::vector<std::string> command;
  Budget budget;
  const std::string_view path = view_of(at(container, {"Path"}));
  if (budget.take(path.size())) command.emplace_back(path);
  if (const json::array* const arguments = array_at(container, {"Args"})) {
    for (const json::value& item : *arguments) {
      const std::string_view text = view_of(&item);
      if (!budget.take(text.size())) break;
      command.emplace_back(text);
    }
  }
  return command;
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "5432/tcp"
std::optional<Port> port_of(std::string_view text) {
  const auto slash = text.find('/');
  const auto number = number_of<std::uint16_t>(text.substr(0, slash));
  if (!number || *number == 0) return std::nullopt;
  Port port{.container_port = *number};
  port.protocol = slash == std::string_view::npos ? "tcp" : text.substr(slash + 1);
  return port;
}

void add_published(const json::object& published, std::vector<Port>& ports) {
  for (const auto& entry : published) {
    const auto port = port_of({entry.key().data(), entry.key().size()});
    if (!port) continue;
    const json::array* const places = entry.value().if_array();
    if (places == nullptr || places->empty()) {
      if (ports.size() < kPortsMax) ports.push_back(*port);
      continue;
    }
    for (const json::value& place : *places) {
      if (ports.size() >= kPortsMax) return;
      Port one = *port;
      one.host_ip = text_at(place, {"HostIp"});
      one.host_port = number_of<std::uint16_t>(view_of(at(place, {"HostPort"}))).value_or(0);
      ports.push_back(std::move(one));
    }
  }
}

std::vector<Port> ports_of(const json::value& container) {
  std::vector<Port> ports;
  if (const json::object* const published = object_at(container, {"NetworkSettings", "Ports"}))
    add_published(*published, ports);
  // With the host's network nothing is published, and only the image says what it listens on.
  if (const json::object* const exposed = object_at(container, {"Config", "ExposedPorts"})) {
    const std::size_t known = ports.size();
    for (const auto& entry : *exposed) {
      if (ports.size() >= kPortsMax) break;
      auto port = port_of({entry.key().data(), entry.key().size()});
      if (!port) continue;
      const auto end = ports.begin() + static_cast<std::ptrdiff_t>(known);
      const bool there = std::any_of(ports.begin(), end, [&](const Port& one) {
        return one.container_port == port->container_port && one.protocol == port->protocol;
      });
      if (!there) ports.push_back(std::move(*port));
    }
  }
  std::ranges::stable_sort(ports, {}, &Port::container_port);
  return ports;
}

std::map<std::string, std::string> addresses_of(const json::value& container) {
  std::map<std::string, std::string> addresses;
  if (const json::object* const networks = object_at(container, {"NetworkSettings", "Networks"})) {
    for (const auto& entry : *networks) {
      if (addresses.size() >= kNetworksMax) break;
      std::string address = text_at(entry.value(), {"IPAddress"});
      if (address.empty()) address = text_at(entry.value(), {"GlobalIPv6Address"});
      if (!address.empty()) addresses.emplace(entry.key(), std::move(address));
    }
  }
  return addresses;
}

void mix(std::uint64_t& hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  hash = (hash ^ 0xff) * 1099511628211ULL;
}

std::uint64_t fingerprint_of(const json::value& entry) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const std::string_view key : {"Names", "Image", "ImageID", "Ports", "Labels", "NetworkSettings"}) {
    const json::value* const part = at(entry, {key});
    mix(hash, part == nullptr ? std::string() : json::serialize(*part));
  }
  mix(hash, view_of(at(entry, {"State"})));
  // "Up 3 hours (healthy)", "Exited (137) 2 minutes ago": without the age.
  const std::string_view status = view_of(at(entry, {"Status"}));
  const auto open = status.find('(');
  const auto close = status.find(')');
  if (open != std::string_view::npos && close != std::string_view::npos && open < close)
    mix(hash, status.substr(open, close - open));
  return hash;
}

}  // namespace

bool is_id(std::string_view text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

base::Result<std::vector<Listed>> parse_list(std::string_view body) {
  json::monotonic_resource memory;
  QD_ASSIGN(const json::value list, parse(body, "list of containers", memory));
  const json::array* const entries = list.if_array();
  if (entries == nullptr) return base::fail(not_understood("list of containers"));
  std::vector<Listed> containers;
  containers.reserve(entries->size());
  for (const json::value& entry : *entries) {
    Listed one{.id = text_at(entry, {"Id"})};
    if (!is_id(one.id)) return base::fail(not_understood("list of containers"));
    const std::string_view state = view_of(at(entry, {"State"}));
    one.running = state == "running" || state == "paused" || state == "restarting";
    one.fingerprint = fingerprint_of(entry);
    containers.push_back(std::move(one));
  }
  return containers;
}

base::Result<Details> parse_details(std::string_view body) {
  json::monotonic_resource memory;
  QD_ASSIGN(const json::value container, parse(body, "description of a container", memory));
  Details details{.id = text_at(container, {"Id"})};
  if (!is_id(details.id)) return base::fail(not_understood("description of a container"));
  details.name = text_at(container, {"Name"});
  if (details.name.starts_with('/')) details.name.erase(0, 1);
  details.image = text_at(container, {"Config", "Image"});
  details.image_id = text_at(container, {"Image"});
  if (details.image.empty()) details.image = text_at(container, {"ImageName"});
  details.labels = labels_of(object_at(container, {"Config", "Labels"}));
  details.environment = environment_of(array_at(container, {"Config", "Env"}));
  details.addresses = addresses_of(container);
  details.ports = ports_of(container);
  details.command = command_of(container);
  details.network_mode = text_at(container, {"HostConfig", "NetworkMode"});
  details.state = text_at(container, {"State", "Status"});
  details.health = text_at(container, {"State", "Health", "Status"});
  if (details.health == "none") details.health.clear();
  details.pid = std::max<std::int64_t>(integer_at(container, {"State", "Pid"}), 0);
  details.created_ms = time_ms_at(container, {"Created"});
  details.started_ms = time_ms_at(container, {"State", "StartedAt"});
  details.restart_count = integer_at(container, {"RestartCount"});
  details.exit_code = integer_at(container, {"State", "ExitCode"});
  details.oom_killed = flag_at(container, {"State", "OOMKilled"});
  return details;
}

base::Result<Event> parse_event(std::string_view line) {
  json::monotonic_resource memory;
  QD_ASSIGN(const json::value event, parse(line, "event", memory));
  if (!event.is_object()) return base::fail(not_understood("event"));
  std::string_view action = view_of(at(event, {"Action"}));
  if (action.empty()) action = view_of(at(event, {"status"}));
  std::string_view id = view_of(at(event, {"Actor", "ID"}));
  if (id.empty()) id = view_of(at(event, {"id"}));
  const std::string_view type = view_of(at(event, {"Type"}));
  if ((!type.empty() && type != "container") || !is_id(id)) id = {};
  return Event{.action = std::string(action.substr(0, action.find(':'))), .id = std::string(id)};
}

base::Result<std::string> parse_version(std::string_view body) {
  json::monotonic_resource memory;
  QD_ASSIGN(const json::value version, parse(body, "version", memory));
  std::string text = text_at(version, {"ApiVersion"});
  if (text.empty()) return base::fail(not_understood("version"));
  return text;
}

std::string parse_message(std::string_view body) {
  json::monotonic_resource memory;
  std::string message;
  if (const auto answer = parse(body, "answer", memory)) message = text_at(*answer, {"message"});
  if (message.size() > kMessageBytesMax) {
    std::size_t end = kMessageBytesMax;
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
    message.resize(end);
  }
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return std::string(base::trim(message));
}

}  // namespace qd::connect::docker
