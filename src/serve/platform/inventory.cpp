#include "serve/platform/inventory.h"

#include <algorithm>

#include "base/strings.h"
#include "serve/json.h"

namespace qd::serve::platform {
namespace {

using connect::http::Response;

std::string_view to_string(observe::Origin origin) {
  switch (origin) {
    case observe::Origin::kDeclared:
      return "declared";
    case observe::Origin::kContainer:
      return "container";
    case observe::Origin::kProcess:
      return "process";
  }
  return {};
}

void write_time(JsonWriter& json, std::string_view name, model::TimestampMs time_ms) {
  json.key(name);
  if (time_ms == 0) {
    json.null();
  } else {
    json.text(base::format_time(time_ms));
  }
}

void write_service(JsonWriter& json, const observe::ServiceStatus& status) {
  const auto& service = status.service;
  json.begin_object().field("kind", service.kind).field("name", service.name).field("address", service.address);
  json.field("variant", service.variant);
  json.field("instance", service.address).field("origin", to_string(service.origin));
  json.field("foundBy", service.found_by).field("project", service.project).field("service", service.service);
  json.field("replica", service.replica).field("containerId", service.container_id);
  json.key("pid").integer(service.pid);
  json.field("state", observe::to_string(status.state)).field("why", status.why);
  const observe::CollectorReport none;
  const auto& report = status.report ? *status.report : none;
  write_time(json, "lastPass", report.last_pass_ms);
  json.key("passSeconds").number(report.seconds);
  json.key("samples").unsigned_integer(report.samples);
  json.field("interval", base::format_duration_ms(report.interval_ms));
  json.field("timeout", base::format_duration_ms(report.timeout_ms)).end_object();
}

void write_container(JsonWriter& json, const observe::Container& container) {
  json.begin_object().field("id", container.id).field("name", container.name).field("image", container.image);
  json.field("project", container.project()).field("service", container.service());
  json.field("replica", container.replica()).field("state", container.state).field("health", container.health);
  write_time(json, "created", container.created_ms);
  write_time(json, "started", container.started_ms);
  json.key("restarts").integer(container.restart_count);
  json.key("exitCode").integer(container.exit_code);
  json.field("oomKilled", container.oom_killed).field("networkMode", container.network_mode);
  json.key("addresses").begin_array();
  for (const auto& [network, address] : container.addresses) {
    json.begin_object().field("network", network).field("address", address).end_object();
  }
  json.end_array().key("ports").begin_array();
  for (const auto& port : container.ports) {
    json.begin_object().key("containerPort").integer(port.container_port).key("hostPort").integer(port.host_port);
    json.field("hostIp", port.host_ip).field("protocol", port.protocol).end_object();
  }
  json.end_array().end_object();
}

Response services(const Inventory& inventory) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_object().key("services").begin_array();
  for (const auto& status : inventory.services()) write_service(json, status);
  json.end_array().key("complaints").begin_array();
  for (const auto& text : *inventory.complaints()) json.text(text);
  json.end_array().end_object().end_object();
  return Response::json(200, std::move(body));
}

Response containers(const Inventory& inventory) {
  std::string body;
  JsonWriter json(body);
  const auto engine = inventory.engine();
  json.begin_object().field("status", "success").key("data").begin_object().key("engine").begin_object();
  json.field("state", engine.state).field("socket", engine.socket).field("why", engine.why).end_object();
  json.key("containers").begin_array();
  for (const auto& container : *inventory.containers()) write_container(json, container);
  json.end_array().end_object().end_object();
  return Response::json(200, std::move(body));
}

}  // namespace

void add_inventory_routes(Router& router, const Inventory& inventory) {
  const auto add = [&](const char* path, Response (*answer)(const Inventory&)) {
    router.add({.methods = {"GET"}, .path = path, .computes = true, .handler = [&inventory, answer](Call call) {
                  call.reply.send(answer(inventory));
                }});
  };
  add("/api/platform/v1/services", services);
  add("/api/platform/v1/containers", containers);
}

}  // namespace qd::serve::platform
