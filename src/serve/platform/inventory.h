// Quarterdeck's own API, /api/platform/v1: which services and containers there are, and how they are.
//
// GET services:   {"status":"success","data":{"services":[…],"complaints":[texts]}}, each service with kind, name,
// address, instance, origin, foundBy,
//                 project, service, replica, containerId, pid, state (up, unreadable, down, off, unknown), why,
//                 lastPass, passSeconds, samples, interval, timeout.
// GET containers: {"status":"success","data":{"engine":{…},"containers":[…]}}. Environments are never shown.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "observe/container.h"
#include "observe/services.h"
#include "serve/router.h"

namespace qd::serve::platform {

// How the container engine is.
struct EngineState {
  std::string state;   // "connected", "away", "off"
  std::string socket;  // its path
  std::string why;     // why it is away, with the cure
};

// Called from any thread; outlives the router.
struct Inventory {
  std::function<std::vector<observe::ServiceStatus>()> services;
  std::function<observe::ContainerList()> containers;
  std::function<EngineState()> engine;
  // What was found and cannot be reached or understood, with the cure.
  std::function<std::shared_ptr<const std::vector<std::string>>()> complaints;
};

void add_inventory_routes(Router& router, const Inventory& inventory);

}  // namespace qd::serve::platform
