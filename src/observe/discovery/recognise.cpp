#include "observe/discovery/recognise.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "observe/discovery/command_line.h"
#include "observe/discovery/credentials.h"
#include "observe/discovery/kinds.h"

namespace qd::observe::discovery {
namespace {

constexpr std::size_t kPathBytesMax = 1024;
// A container may use the network of one that uses the network of another.
constexpr int kNetworkHopsMax = 4;
constexpr std::uint16_t kSentinelPort = 26379;

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::string_view label(const Container& container, const std::string& name) {
  const auto found = container.labels.find(name);
  return found == container.labels.end() ? std::string_view() : std::string_view(found->second);
}

enum class Wish : std::uint8_t { kUnsaid, kYes, kNo };

Wish wish_of(const Container& container, const std::string& name, std::vector<std::string>& complaints) {
  const std::string_view text = label(container, name);
  if (text.empty()) return Wish::kUnsaid;
  if (text == "true" || text == "1" || text == "yes" || text == "on") return Wish::kYes;
  if (text == "false" || text == "0" || text == "no" || text == "off") return Wish::kNo;
  complaints.push_back(
      fmt::format("container {}: the label {} is neither \"true\" nor \"false\"", container.name, name));
  return Wish::kUnsaid;
}

std::optional<std::uint16_t> port_label(const Container& container, const std::string& name,
                                        std::vector<std::string>& complaints) {
  const std::string_view text = label(container, name);
  if (text.empty()) return std::nullopt;
  const auto port = port_of(text);
  if (!port)
    complaints.push_back(
        fmt::format("container {}: the label {} is no port; write a number from 1 to 65535", container.name, name));
  return port;
}

// The TCP ports that the image exposes or that are published, rising, each once.
std::vector<std::uint16_t> tcp_ports(const Container& container) {
  std::vector<std::uint16_t> ports;
  for (const ContainerPort& port : container.ports) {
    if (port.protocol == "tcp") ports.push_back(port.container_port);
  }
  std::ranges::sort(ports);
  const auto [first, last] = std::ranges::unique(ports);
  ports.erase(first, last);
  return ports;
}

bool has(const std::vector<std::uint16_t>& ports, std::uint16_t port) {
  return std::ranges::binary_search(ports, port);
}

std::optional<std::uint16_t> port_variable(const Container& container, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = container.environment.find(name);
    if (found == container.environment.end()) continue;
    if (const auto port = port_of(found->second)) return port;
  }
  return std::nullopt;
}

std::optional<std::uint16_t> port_option(const std::vector<std::string>& words,
                                         std::initializer_list<std::string_view> names) {
  const auto text = option(words, names);
  return text ? port_of(*text) : std::nullopt;
}

// nginx says in its own files where it listens; the image says what it exposes.
std::uint16_t likeliest_web_port(const std::vector<std::uint16_t>& ports) {
  for (const std::uint16_t usual : {80, 8080}) {
    if (has(ports, usual)) return usual;
  }
  const auto plain = std::ranges::find_if(ports, [](std::uint16_t port) { return port != 443 && port != 8443; });
  return plain == ports.end() ? usual_port("nginx") : *plain;
}

std::uint16_t port_in(const Container& container, std::string_view kind) {
  const auto words = command_words(container.command, container.environment);
  std::optional<std::uint16_t> port;
  if (kind == "postgres") {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == "-c" && words[i + 1].starts_with("port=")) port = port_of(words[i + 1].substr(5));
    }
    if (!port) port = port_option(words, {"--port", "-p"});
    if (!port) port = port_variable(container, {"PGPORT", "POSTGRESQL_PORT_NUMBER"});
  } else if (kind == "mysql") {
    port = port_option(words, {"--port", "-P"});
    if (!port) port = port_variable(container, {"MYSQL_TCP_PORT", "MYSQL_PORT_NUMBER", "MARIADB_PORT_NUMBER"});
  } else if (kind == "redis") {
    port = port_option(words, {"--port"});
    if (!port) port = port_variable(container, {"REDIS_PORT_NUMBER", "VALKEY_PORT_NUMBER"});
    const bool sentinel = std::ranges::any_of(words, [](const std::string& word) {
      return word == "--sentinel" || word.ends_with("redis-sentinel") || word.ends_with("valkey-sentinel");
    });
    if (!port && sentinel) port = kSentinelPort;
  } else if (kind == "memcached") {
    port = port_option(words, {"--port", "-p"});
  } else if (kind == "nginx") {
    port = likeliest_web_port(tcp_ports(container));
  }
  return port.value_or(usual_port(kind));
}

struct Kind {
  std::string name;
  std::string found_by;
};

// What stands before a server in a container's command: an init, a shell, an entry point, a change of user.
bool is_wrapper(std::string_view word, std::string_view before) {
  const auto last_part = [](std::string_view path) { return path.substr(path.rfind('/') + 1); };
  const auto is_one_of = [](std::string_view text, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, text) != words.end();
  };
  const std::string_view program = last_part(word);
  return program.ends_with(".sh") || word.starts_with('-') ||
         is_one_of(program,
                   {"sh", "bash", "ash", "dash", "env", "exec", "tini", "dumb-init", "catatonit", "docker-init", "gosu",
                    "su-exec", "setpriv", "s6-setuidgid", "docker-entrypoint", "entrypoint"}) ||
         is_one_of(last_part(before), {"gosu", "su-exec", "s6-setuidgid"});
}

Kind kind_of_command(const Container& container) {
  const auto words = command_words(container.command, container.environment);
  std::string_view before;
  for (const std::string& word : words) {
    if (const auto kind = kind_of_process(word); !kind.empty() && !is_wrapper({}, before)) {
      const std::string_view program = std::string_view(word).substr(word.rfind('/') + 1);
      return {std::string(kind), fmt::format("command {} of container {}", program, container.name)};
    }
    if (!is_wrapper(word, before)) break;
    before = word;
  }
  return {};
}

Kind kind_of(const Container& container, std::vector<std::string>& complaints) {
  if (const std::string_view asked = label(container, "quarterdeck.kind"); !asked.empty()) {
    if (is_kind(asked))
      return {std::string(asked), fmt::format("label quarterdeck.kind of container {}", container.name)};
    complaints.push_back(
        fmt::format("container {}: the label quarterdeck.kind is none of postgres, mysql, redis, "
                    "memcached, nginx, openmetrics",
                    container.name));
  }
  if (const auto kind = kind_of_image(container.image); !kind.empty())
    return {std::string(kind), fmt::format("image {}", container.image)};
  return kind_of_command(container);
}

// What a URL can carry without being changed.
bool is_url_path(std::string_view text) {
  return text.starts_with('/') && text.size() <= kPathBytesMax &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
}

void add_openmetrics(const Container& container, const Knowledge& knowledge, const Kind& kind, Recognised& out) {
  const bool by_kind = kind.name == "openmetrics";
  std::optional<std::uint16_t> port;
  // Beside another kind, quarterdeck.port is that one's.
  if (by_kind) port = port_label(container, "quarterdeck.port", out.complaints);
  if (!port) port = port_label(container, "prometheus.io/port", out.complaints);
  if (!port) {
    const auto ports = tcp_ports(container);
    if (ports.empty()) {
      out.complaints.push_back(fmt::format(
          "container {}: its metrics are asked for, but it exposes no port; set the label prometheus.io/port",
          container.name));
      return;
    }
    port = ports.front();
  }
  auto found_by = by_kind ? kind.found_by : fmt::format("label prometheus.io/scrape of container {}", container.name);
  auto service = service_of(container, "openmetrics", *port, std::move(found_by), knowledge, out.complaints);
  if (service) out.services.push_back(std::move(*service));
}

const Container* container_by_id(const Knowledge& knowledge, std::string_view id) {
  const auto found = std::ranges::lower_bound(knowledge.containers, id, {}, &Container::id);
  return found != knowledge.containers.end() && found->id == id ? &*found : nullptr;
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

// Of one process: the port at which its protocol is most likely spoken.
std::uint16_t likeliest_port(std::string_view kind, const std::vector<std::uint16_t>& ports) {
  const std::uint16_t port = kind == "nginx" ? likeliest_web_port(ports) : usual_port(kind);
  return has(ports, port) ? port : ports.front();
}

}  // namespace

std::string join_address(std::string_view host, std::uint16_t port) {
  return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port)
                                                  : fmt::format("[{}]:{}", host, port);
}

std::optional<std::string> reach(const Container& container, std::uint16_t port, const Knowledge& knowledge) {
  const Container* owner = &container;
  for (int hop = 0; owner->network_mode.starts_with("container:"); ++hop) {
    owner = container_by_id(knowledge, std::string_view(owner->network_mode).substr(10));
    if (owner == nullptr || hop == kNetworkHopsMax) return std::nullopt;
  }
  if (owner->network_mode == "host") return join_address("127.0.0.1", port);
  for (const auto& [network, address] : owner->addresses) {
    if (knowledge.is_attached(address)) return join_address(address, port);
  }
  for (const ContainerPort& one : owner->ports) {
    if (one.container_port != port || one.protocol != "tcp" || one.host_port == 0) continue;
    const bool everywhere = one.host_ip.empty() || one.host_ip == "0.0.0.0" || one.host_ip == "::";
    return join_address(everywhere ? "127.0.0.1" : one.host_ip, one.host_port);
  }
  return std::nullopt;
}

std::optional<Service> service_of(const Container& container, std::string_view kind, std::uint16_t port,
                                  std::string found_by, const Knowledge& knowledge,
                                  std::vector<std::string>& complaints) {
  const auto address = reach(container, port, knowledge);
  if (!address) {
    complaints.push_back(
        fmt::format("container {}: its {} at port {} cannot be reached from here; publish the port (ports: "
                    "[\"127.0.0.1::{}\"]), or put the container in a bridge network of this machine",
                    container.name, kind, port, port));
    return std::nullopt;
  }
  Service service{.kind = std::string(kind), .address = *address};
  service.service = container.service();
  service.name = service.service.empty() ? container.name : service.service;
  service.origin = Origin::kContainer;
  service.found_by = std::move(found_by);
  service.container_id = container.id;
  service.project = container.project();
  service.replica = container.replica();
  for (const auto& [name, value] : container.labels) {
    const bool tunes = name.starts_with("prometheus.io/") || name.starts_with("quarterdeck.");
    if (tunes && name != "quarterdeck.password") service.tuning.emplace(name, value);
  }
  if (kind != "openmetrics") {
    Credentials credentials = credentials_of(container, kind, knowledge);
    service.user = std::move(credentials.user);
    service.password = std::move(credentials.password);
    service.database = std::move(credentials.database);
    return service;
  }
  service.metrics_path = "/metrics";
  service.scheme = "http";
  if (const auto path = label(container, "prometheus.io/path"); is_url_path(path)) {
    service.metrics_path = path;
  } else if (!path.empty()) {
    complaints.push_back(fmt::format(
        "container {}: the label prometheus.io/path is no path; write one that begins with /", container.name));
  }
  if (const auto scheme = label(container, "prometheus.io/scheme"); scheme == "http" || scheme == "https") {
    service.scheme = scheme;
  } else if (!scheme.empty()) {
    complaints.push_back(
        fmt::format("container {}: the label prometheus.io/scheme is neither http nor https", container.name));
  }
  return service;
}

Recognised recognise(const Container& container, const Knowledge& knowledge) {
  Recognised out;
  if (container.pid == 0) return out;
  if (wish_of(container, "quarterdeck.enabled", out.complaints) == Wish::kNo) return out;
  const Wish scrape = wish_of(container, "prometheus.io/scrape", out.complaints);
  const Kind kind = kind_of(container, out.complaints);
  if (scrape == Wish::kYes || kind.name == "openmetrics") add_openmetrics(container, knowledge, kind, out);
  if (!kind.name.empty() && kind.name != "openmetrics") {
    const auto asked = port_label(container, "quarterdeck.port", out.complaints);
    auto service = service_of(container, kind.name, asked.value_or(port_in(container, kind.name)), kind.found_by,
                              knowledge, out.complaints);
    if (service) out.services.push_back(std::move(*service));
  }
  if (!kind.name.empty() || scrape != Wish::kUnsaid) return out;
  for (const std::uint16_t port : tcp_ports(container)) {
    if (out.unknown.size() == kUnknownPortsMax) break;
    // One that cannot be reached is nothing to complain of: nobody asked for it.
    if (auto address = reach(container, port, knowledge)) out.unknown.push_back({port, std::move(*address)});
  }
  return out;
}

std::vector<Service> recognise(std::span<const Listener> listeners) {
  std::map<std::int64_t, std::vector<const Listener*>> by_process;
  for (const Listener& listener : listeners) {
    if (!kind_of_process(listener.process).empty()) by_process[listener.pid].push_back(&listener);
  }
  std::vector<Service> services;
  for (const auto& [pid, sockets] : by_process) {
    const auto kind = kind_of_process(sockets.front()->process);
    std::vector<std::uint16_t> ports;
    for (const Listener* socket : sockets) ports.push_back(socket->port);
    std::ranges::sort(ports);
    const std::uint16_t port = likeliest_port(kind, ports);
    const Listener* best = nullptr;
    for (const Listener* socket : sockets) {
      if (socket->port == port && (best == nullptr || is_loopback(socket->address))) best = socket;
    }
    Service service{.kind = std::string(kind), .name = best->process};
    service.address = join_address(best->address, port);
    service.origin = Origin::kProcess;
    service.pid = pid;
    service.unix_socket = best->unix_socket;
    service.owner = best->user;
    service.found_by = fmt::format("port {} of process {} (pid {})", port, best->process, pid);
    services.push_back(std::move(service));
  }
  return services;
}

}  // namespace qd::observe::discovery
