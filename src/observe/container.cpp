#include "observe/container.h"

namespace qd::observe {
namespace {

std::string first_of(const std::map<std::string, std::string>& labels, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const auto found = labels.find(name); found != labels.end()) return found->second;
  }
  return {};
}

}  // namespace

std::string Container::project() const {
  return first_of(labels, {"com.docker.compose.project", "com.docker.stack.namespace"});
}

std::string Container::service() const {
  std::string found = first_of(labels, {"com.docker.compose.service", "com.docker.swarm.service.name"});
  // Swarm puts the stack's name in front.
  const std::string stack = first_of(labels, {"com.docker.stack.namespace"});
  if (!stack.empty() && found.starts_with(stack + "_")) found.erase(0, stack.size() + 1);
  return found;
}

std::string Container::replica() const {
  std::string number = first_of(labels, {"com.docker.compose.container-number"});
  if (!number.empty()) return number;
  // "shop_web.2.x7k2…": service, slot, task.
  const std::string task_name = first_of(labels, {"com.docker.swarm.task.name"});
  const auto first = task_name.find('.');
  if (first == std::string::npos) return {};
  return task_name.substr(first + 1, task_name.find('.', first + 1) - first - 1);
}

}  // namespace qd::observe
