#include "observe/container.h"

#include <algorithm>
#include <cstddef>

namespace qd::observe {
namespace {

// The first run of exactly as many hexadecimal digits as an id has.
std::string_view first_id(std::string_view text) {
  constexpr std::size_t kDigits = 64;
  std::size_t run = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool digit = i < text.size() && ((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'));
    if (digit) {
      ++run;
      continue;
    }
    if (run == kDigits) return text.substr(i - kDigits, kDigits);
    run = 0;
  }
  return {};
}

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

const Container* find_container(const ContainerList& containers, std::string_view id) {
  if (containers == nullptr || id.empty()) return nullptr;
  const auto found =
      std::ranges::lower_bound(*containers, id, {}, [](const Container& c) -> std::string_view { return c.id; });
  return found == containers->end() || found->id != id ? nullptr : &*found;
}

std::string_view container_id(std::string_view cgroup_path) {
  const std::string_view last = cgroup_path.substr(cgroup_path.rfind('/') + 1);
  // The process that keeps a container's terminal for Podman has a cgroup of its own.
  if (last.find("conmon") != std::string_view::npos) return {};
  return first_id(last);
}

std::string_view container_id_of_process(std::string_view cgroup_file) {
  return first_id(cgroup_file);
}

}  // namespace qd::observe
