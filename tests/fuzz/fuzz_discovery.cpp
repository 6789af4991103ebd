// What discoveries are told by others; the first byte chooses by whom.

#include <boost/json.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "base/assert.h"
#include "input.h"
#include "observe/sd/groups_text.h"
#include "observe/sd/kubernetes_objects.h"
#include "observe/sd/kubernetes_server.h"
#include "observe/sd/resolver.h"

namespace {

using namespace qd::observe::sd;

void check(const qd::base::Result<TargetGroups>& groups) {
  if (!groups) QD_ASSERT(!groups.error().message().empty());
}

// One object as each kind at once: whatever stands where, no role falls over it.
void kubernetes(std::string_view text) {
  boost::system::error_code error;
  const boost::json::value object = boost::json::parse(text, error);
  if (error) return;
  Cluster cluster;
  for (std::size_t kind = 0; kind < kResources; ++kind) {
    const auto resource = static_cast<Resource>(kind);
    cluster.objects[resource][key_of(object)] = std::make_shared<const boost::json::value>(object);
  }
  for (const char* const role : {"node", "service", "pod", "endpoints", "endpointslice", "ingress"})
    static_cast<void>(kubernetes_targets({.role = role, .attach_node = true, .attach_namespace = true}, cluster));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  switch (input.byte() % 5) {
    case 0:
      check(read_json_groups(input.text(), "f", "__meta_filepath"));
      break;
    case 1:
      check(read_yaml_groups(input.text(), "f", "__meta_filepath"));
      break;
    case 2:
      kubernetes(input.text());
      break;
    case 3:
      static_cast<void>(read_kubeconfig(input.text(), "f"));
      break;
    default:
      static_cast<void>(parse_resolv_conf(input.text()));
  }
  return 0;
}
