#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "observe/sd/docker_sd.h"
#include "observe/sd/fakes_for_test.h"
#include "observe/sd/swarm_sd.h"

namespace qd::observe::sd {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kNetworks = R"([
  {"Id":"n1","Name":"alpha","Scope":"local","Internal":false,"Ingress":false,"Labels":{"tier":"x.y"}},
  {"Id":"n2","Name":"beta","Scope":"swarm","Internal":true,"Ingress":true,"Labels":null}])";

constexpr const char* kContainers = R"([
  {"Id":"c1","Names":["/web"],"Labels":{"com.docker.compose.service":"web"},"HostConfig":{"NetworkMode":"alpha"},
   "Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":53,"Type":"udp"},
            {"PrivatePort":9100,"Type":"tcp"}],
   "NetworkSettings":{"Networks":{"beta":{"NetworkID":"n2","IPAddress":"10.2.0.2"},
                                  "alpha":{"NetworkID":"n1","IPAddress":"10.1.0.2"}}}},
  {"Id":"c2","Names":["/side"],"Labels":{},"HostConfig":{"NetworkMode":"container:c1"},"Ports":[],
   "NetworkSettings":{"Networks":{}}},
  {"Id":"c3","Names":["/host"],"Labels":{},"HostConfig":{"NetworkMode":"host"},"Ports":[],
   "NetworkSettings":{"Networks":{"host":{"NetworkID":"n9","IPAddress":""}}}}])";

TEST(DockerSd, makes_a_target_of_each_port) {
  FakeSurroundings around;
  around.answers = {{"/containers/json", kContainers}, {"/networks", kNetworks}};
  DockerSdConfig config{
      .host = "unix:///var/run/docker.sock", .port = 81, .filters = {{.name = "status", .values = {"running"}}}};
  const auto groups = look_at_docker(config, around.get());
  ASSERT_TRUE(groups) << groups.error().message();
  ASSERT_EQ(groups->at(0).targets.size(), 4U);
  EXPECT_EQ(groups->at(0).targets[0].to_string(),
            R"({__address__="10.1.0.2:80", __meta_docker_container_id="c1", )"
            R"(__meta_docker_container_label_com_docker_compose_service="web", __meta_docker_container_name="/web", )"
            R"(__meta_docker_container_network_mode="alpha", __meta_docker_network_id="n1", )"
            R"(__meta_docker_network_ingress="false", __meta_docker_network_internal="false", )"
            R"(__meta_docker_network_ip="10.1.0.2", __meta_docker_network_label_tier="x.y", )"
            R"(__meta_docker_network_name="alpha", __meta_docker_network_scope="local", )"
            R"(__meta_docker_port_private="80", __meta_docker_port_public="8080", )"
            R"(__meta_docker_port_public_ip="0.0.0.0"})");
  EXPECT_THAT(groups->at(0).targets[1].to_string(),
              AllOf(HasSubstr("10.1.0.2:9100"), Not(HasSubstr("__meta_docker_port_public"))));
  // In another's network, and in the host's.
  EXPECT_EQ(groups->at(0).targets[2].get("__address__"), "10.1.0.2:81");
  EXPECT_EQ(groups->at(0).targets[3].get("__address__"), "localhost");
  EXPECT_EQ(around.requests[0].unix_socket_path, "/var/run/docker.sock");
  EXPECT_THAT(around.requests[0].url, HasSubstr("?filters=%7B%22status%22%3A%5B%22running%22%5D%7D"));

  config.match_first_network = false;
  EXPECT_EQ(look_at_docker(config, around.get())->at(0).targets.size(), 7U);
}

TEST(DockerSd, says_what_the_engine_answered) {
  FakeSurroundings around;
  const DockerSdConfig config{.host = "tcp://h:2375"};
  const auto refused = look_at_docker(config, around.get());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("404 to /containers/json: no such page"));
  EXPECT_EQ(around.requests[0].url, "http://h:2375/containers/json");
  around.answers["/containers/json"] = "<html>";
  EXPECT_EQ(look_at_docker(config, around.get()).error().code(), base::ErrorCode::kCorrupt);
  around.answers = {{"/containers/json", "null"}, {"/networks", "null"}};
  EXPECT_TRUE(look_at_docker(config, around.get())->at(0).targets.empty());
  // Whatever stands in it, it is no reason to fall over.
  around.answers["/containers/json"] =
      R"([1, null, {"Names":"x"}, {"Names":[7]}, {"Names":["/a"],"Ports":{},"NetworkSettings":7}])";
  EXPECT_TRUE(look_at_docker(config, around.get())->at(0).targets.empty());
}

constexpr const char* kNodes = R"([
  {"ID":"m1","Spec":{"Role":"manager","Availability":"active","Labels":{"zone":"a"}},
   "Description":{"Hostname":"box","Platform":{"Architecture":"x86_64","OS":"linux"},"Engine":{"EngineVersion":"20.10.24"}},
   "Status":{"State":"ready","Addr":"192.168.1.5"},
   "ManagerStatus":{"Leader":true,"Reachability":"reachable","Addr":"192.168.1.5:2377"}}])";
constexpr const char* kServices = R"([
  {"ID":"s1","Spec":{"Name":"web","Labels":{"team":"shop"},"Mode":{"Replicated":{"Replicas":2}},
    "TaskTemplate":{"ContainerSpec":{"Image":"nginx:1"}}},
   "Endpoint":{"Ports":[{"Name":"http","Protocol":"tcp","TargetPort":80,"PublishedPort":8080,"PublishMode":"ingress"},
                        {"Protocol":"udp","TargetPort":53,"PublishedPort":53}],
               "VirtualIPs":[{"NetworkID":"n2","Addr":"10.0.0.3/24"}]}}])";
constexpr const char* kTasks = R"([
  {"ID":"t1","ServiceID":"s1","NodeID":"m1","Slot":2,"DesiredState":"running",
   "Spec":{"ContainerSpec":{"Labels":{"c.l":"v"}}},
   "Status":{"State":"running","ContainerStatus":{"ContainerID":"cc"},
             "PortStatus":{"Ports":[{"Protocol":"tcp","PublishedPort":32768,"PublishMode":"host"}]}},
   "NetworksAttachments":[{"Network":{"ID":"n2"},"Addresses":["10.0.0.7/24"]}]}])";

TEST(SwarmSd, makes_targets_of_nodes_services_and_tasks) {
  FakeSurroundings around;
  around.answers = {{"/nodes", kNodes}, {"/services", kServices}, {"/tasks", kTasks}, {"/networks", kNetworks}};
  const auto look = [&](const std::string& role) {
    const DockerSwarmSdConfig config{.host = "http://h:2375", .role = role};
    const auto groups = look_at_swarm(config, around.get());
    return groups ? text_of(*groups) : groups.error().message();
  };
  EXPECT_EQ(
      look("nodes"),
      R"({__address__="192.168.1.5:80", __meta_dockerswarm_node_address="192.168.1.5", )"
      R"(__meta_dockerswarm_node_availability="active", __meta_dockerswarm_node_engine_version="20.10.24", )"
      R"(__meta_dockerswarm_node_hostname="box", __meta_dockerswarm_node_id="m1", )"
      R"(__meta_dockerswarm_node_label_zone="a", __meta_dockerswarm_node_manager_address="192.168.1.5:2377", )"
      R"(__meta_dockerswarm_node_manager_leader="true", __meta_dockerswarm_node_manager_reachability="reachable", )"
      R"(__meta_dockerswarm_node_platform_architecture="x86_64", __meta_dockerswarm_node_platform_os="linux", )"
      R"(__meta_dockerswarm_node_role="manager", __meta_dockerswarm_node_status="ready"})"
      "\n");
  EXPECT_THAT(
      look("services"),
      AllOf(HasSubstr(R"(__address__="10.0.0.3:8080")"), HasSubstr(R"(service_endpoint_port_name="http")"),
            HasSubstr(R"(service_endpoint_port_publish_mode="ingress")"), HasSubstr(R"(service_mode="replicated")"),
            HasSubstr(R"(service_task_container_image="nginx:1")"), HasSubstr(R"(service_label_team="shop")"),
            HasSubstr(R"(network_name="beta")"), Not(HasSubstr(":53\""))));
  const std::string tasks = look("tasks");
  EXPECT_THAT(tasks, AllOf(HasSubstr(R"(__address__="192.168.1.5:32768")"), HasSubstr(R"(__address__="10.0.0.7:80")"),
                           HasSubstr(R"(task_slot="2")"), HasSubstr(R"(task_container_id="cc")"),
                           HasSubstr(R"(dockerswarm_container_label_c_l="v")"), HasSubstr(R"(service_name="web")"),
                           HasSubstr(R"(node_hostname="box")"), HasSubstr(R"(port_publish_mode="host")")));
  EXPECT_EQ(std::count(tasks.begin(), tasks.end(), '\n'), 2);
  around.answers.erase("/nodes");
  EXPECT_THAT(look("tasks"), HasSubstr("404 to /nodes"));
}

}  // namespace
}  // namespace qd::observe::sd
