#include "observe/gpu/owners.h"

#include <fmt/format.h>

#include <map>

#include "base/strings.h"
#include "observe/utf8.h"

namespace qd::observe::gpu {
namespace {

std::string label_of(const Container& container, const char* name) {
  const auto found = container.labels.find(name);
  return found == container.labels.end() ? std::string() : found->second;
}

}  // namespace

Owner Owners::of(std::uint32_t pid, const ContainerList& containers) {
  Owner owner;
  if (const auto name = reader_.read_once(fmt::format("{}/{}/comm", procfs_, pid).c_str()))
    owner.process = base::trim(*name);
  make_utf8(owner.process);
  const auto cgroups = reader_.read_once(fmt::format("{}/{}/cgroup", procfs_, pid).c_str());
  if (!cgroups) return owner;
  const std::string_view id = container_id_of_process(*cgroups);
  const Container* container = find_container(containers, id);
  if (container == nullptr) {
    owner.container = id;
    return owner;
  }
  // The kubelet's, where it works with Docker.
  owner.container = label_of(*container, "io.kubernetes.container.name");
  if (owner.container.empty()) owner.container = container->name;
  owner.pod = label_of(*container, "io.kubernetes.pod.name");
  owner.name_space = label_of(*container, "io.kubernetes.pod.namespace");
  for (std::string* text : {&owner.container, &owner.pod, &owner.name_space}) make_utf8(*text);
  return owner;
}

}  // namespace qd::observe::gpu
