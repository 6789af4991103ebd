#include "observe/sd/kubernetes_sd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <deque>
#include <fstream>

#include "base/temp_directory.h"
#include "base/thread_pool.h"
#include "connect/http/http_test_support.h"
#include "observe/sd/fakes_for_test.h"
#include "observe/sd/kubernetes_objects.h"
#include "observe/sd/kubernetes_server.h"

namespace qd::observe::sd {
namespace {

namespace json = boost::json;
using connect::http::testing::eventually;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kPod = R"({"metadata":{"name":"web-1","namespace":"shop","uid":"u1","resourceVersion":"7",
   "labels":{"app":"web","empty":""},"annotations":{"prometheus.io/scrape":"true"},
   "ownerReferences":[{"controller":true,"kind":"ReplicaSet","name":"web"}]},
  "spec":{"nodeName":"n1","containers":[
     {"name":"main","image":"web:1","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"},
                                              {"name":"metrics","containerPort":9100}]},
     {"name":"bare","image":"bare:1"}],
     "initContainers":[{"name":"init","image":"init:1"}]},
  "status":{"podIP":"10.9.0.4","hostIP":"192.168.0.1","phase":"Running",
     "conditions":[{"type":"Ready","status":"True"}],
     "containerStatuses":[{"name":"main","containerID":"containerd://c1"}]}})";
constexpr const char* kNode = R"({"metadata":{"name":"n1","labels":{"zone":"a"}},"spec":{"providerID":"p://1"},
  "status":{"addresses":[{"type":"Hostname","address":"n1.local"},{"type":"InternalIP","address":"192.168.0.1"}],
            "daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}})";
constexpr const char* kService = R"({"metadata":{"name":"web","namespace":"shop","labels":{"app":"web"}},
  "spec":{"type":"ClusterIP","clusterIP":"10.96.0.7","ports":[{"name":"http","port":80,"protocol":"TCP"}]}})";
constexpr const char* kEndpoints = R"({"metadata":{"name":"web","namespace":"shop"},"subsets":[
  {"addresses":[{"ip":"10.9.0.4","nodeName":"n1","targetRef":{"kind":"Pod","name":"web-1","namespace":"shop"}}],
   "notReadyAddresses":[{"ip":"10.9.0.5","hostname":"h"}],
   "ports":[{"name":"http","port":8080,"protocol":"TCP"}]}]})";
constexpr const char* kSlice = R"({"metadata":{"name":"web-x","namespace":"shop",
   "labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
  "ports":[{"name":"http","port":8080,"protocol":"TCP","appProtocol":"http"}],
  "endpoints":[{"addresses":["10.9.0.4"],"conditions":{"ready":true,"serving":true,"terminating":false},
    "nodeName":"n1","zone":"a","targetRef":{"kind":"Pod","name":"web-1","namespace":"shop"}}]})";
constexpr const char* kIngress = R"({"metadata":{"name":"front","namespace":"shop"},
  "spec":{"ingressClassName":"nginx","tls":[{"hosts":["*.example.com"]}],
    "rules":[{"host":"a.example.com","http":{"paths":[{"path":"/x"},{"path":""}]}},{"host":"b.other"}]}})";

Cluster cluster() {
  Cluster out;
  const auto add = [&](Resource resource, const char* text) {
    json::value object = json::parse(text);
    std::string key = key_of(object);
    out.objects[resource][key] = std::make_shared<const json::value>(std::move(object));
  };
  add(Resource::kPods, kPod);
  add(Resource::kNodes, kNode);
  add(Resource::kServices, kService);
  add(Resource::kEndpoints, kEndpoints);
  add(Resource::kEndpointSlices, kSlice);
  add(Resource::kIngresses, kIngress);
  return out;
}

std::string targets(KubernetesSdConfig config) {
  return text_of(kubernetes_targets(config, cluster()));
}

TEST(KubernetesTargets, of_nodes) {
  EXPECT_EQ(targets({.role = "node"}),
            R"({__address__="192.168.0.1:10250", __meta_kubernetes_node_address_Hostname="n1.local", )"
            R"(__meta_kubernetes_node_address_InternalIP="192.168.0.1", __meta_kubernetes_node_label_zone="a", )"
            R"(__meta_kubernetes_node_labelpresent_zone="true", __meta_kubernetes_node_name="n1", )"
            R"(__meta_kubernetes_node_provider_id="p://1", instance="n1"})"
            "\n");
}

TEST(KubernetesTargets, of_services) {
  EXPECT_EQ(targets({.role = "service"}),
            R"({__address__="web.shop.svc:80", __meta_kubernetes_namespace="shop", )"
            R"(__meta_kubernetes_service_cluster_ip="10.96.0.7", __meta_kubernetes_service_label_app="web", )"
            R"(__meta_kubernetes_service_labelpresent_app="true", __meta_kubernetes_service_name="web", )"
            R"(__meta_kubernetes_service_port_name="http", __meta_kubernetes_service_port_number="80", )"
            R"(__meta_kubernetes_service_port_protocol="TCP", __meta_kubernetes_service_type="ClusterIP"})"
            "\n");
}

TEST(KubernetesTargets, of_pods) {
  const std::string pods = targets({.role = "pod", .attach_node = true});
  EXPECT_EQ(std::count(pods.begin(), pods.end(), '\n'), 4);
  EXPECT_TRUE(pods.starts_with(
      R"({__address__="10.9.0.4:8080", __meta_kubernetes_namespace="shop", __meta_kubernetes_node_label_zone="a", )"
      R"(__meta_kubernetes_node_labelpresent_zone="true", __meta_kubernetes_node_name="n1", )"
      R"(__meta_kubernetes_pod_annotation_prometheus_io_scrape="true", )"
      R"(__meta_kubernetes_pod_annotationpresent_prometheus_io_scrape="true", )"
      R"(__meta_kubernetes_pod_container_id="containerd://c1", __meta_kubernetes_pod_container_image="web:1", )"
      R"(__meta_kubernetes_pod_container_init="false", __meta_kubernetes_pod_container_name="main", )"
      R"(__meta_kubernetes_pod_container_port_name="http", __meta_kubernetes_pod_container_port_number="8080", )"
      R"(__meta_kubernetes_pod_container_port_protocol="TCP", __meta_kubernetes_pod_controller_kind="ReplicaSet", )"
      R"(__meta_kubernetes_pod_controller_name="web", __meta_kubernetes_pod_host_ip="192.168.0.1", )"
      R"(__meta_kubernetes_pod_ip="10.9.0.4", __meta_kubernetes_pod_label_app="web", )"
      R"(__meta_kubernetes_pod_labelpresent_app="true", __meta_kubernetes_pod_labelpresent_empty="true", )"
      R"(__meta_kubernetes_pod_name="web-1", __meta_kubernetes_pod_node_name="n1", )"
      R"(__meta_kubernetes_pod_phase="Running", __meta_kubernetes_pod_ready="true", __meta_kubernetes_pod_uid="u1"})"))
      << pods;
  EXPECT_THAT(pods, AllOf(HasSubstr(R"(__address__="10.9.0.4", )"), HasSubstr(R"(pod_container_init="true")")));
}

TEST(KubernetesTargets, of_endpoints_and_slices) {
  const std::string endpoints = targets({.role = "endpoints"});
  // Ready, not ready, and the pod's port that no endpoint names.
  EXPECT_EQ(std::count(endpoints.begin(), endpoints.end(), '\n'), 3);
  EXPECT_THAT(endpoints, AllOf(HasSubstr(R"(endpoint_ready="true")"), HasSubstr(R"(endpoint_ready="false")"),
                               HasSubstr(R"(__address__="10.9.0.4:9100")"), HasSubstr(R"(service_label_app="web")"),
                               HasSubstr(R"(pod_container_port_name="http")"),
                               HasSubstr(R"(endpoint_address_target_name="web-1")"),
                               HasSubstr(R"(endpoint_hostname="h")"), HasSubstr(R"(endpoint_node_name="n1")")));
  const std::string slices = targets({.role = "endpointslice"});
  EXPECT_EQ(std::count(slices.begin(), slices.end(), '\n'), 2);
  EXPECT_THAT(slices, AllOf(HasSubstr(R"(endpointslice_endpoint_conditions_ready="true")"),
                            HasSubstr(R"(endpointslice_endpoint_zone="a")"), HasSubstr(R"(endpointslice_port="8080")"),
                            HasSubstr(R"(endpointslice_address_type="IPv4")"), HasSubstr(R"(service_name="web")"),
                            HasSubstr(R"(endpointslice_port_app_protocol="http")")));
}

TEST(KubernetesTargets, of_ingresses) {
  const std::string ingresses = targets({.role = "ingress"});
  EXPECT_THAT(ingresses,
              AllOf(HasSubstr(R"(__meta_kubernetes_ingress_host="a.example.com", )"
                              R"(__meta_kubernetes_ingress_name="front", __meta_kubernetes_ingress_path="/x", )"
                              R"(__meta_kubernetes_ingress_scheme="https", __meta_kubernetes_namespace="shop")"),
                    HasSubstr(R"(ingress_path="/")"), HasSubstr(R"(ingress_scheme="http")"),
                    HasSubstr(R"(ingress_class_name="nginx")")));
  EXPECT_EQ(std::count(ingresses.begin(), ingresses.end(), '\n'), 3);
}

TEST(KubernetesServer, is_read_from_a_kubeconfig) {
  const std::string text = R"(
apiVersion: v1
current-context: b
contexts:
  - {name: a, context: {cluster: x, user: x}}
  - {name: b, context: {cluster: c, user: u}}
clusters:
  - {name: c, cluster: {server: 'https://k:6443/', certificate-authority-data: aGVsbG8=, tls-server-name: kube}}
users:
  - {name: u, user: {tokenFile: token, client-certificate-data: YWI=, client-key: /k.pem}}
)";
  const auto server = read_kubeconfig(text, "/home/me/.kube/config");
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_EQ(server->url, "https://k:6443");
  EXPECT_EQ(server->http.tls.ca, "hello");
  EXPECT_EQ(server->http.tls.cert, "ab");
  EXPECT_EQ(server->http.tls.key_file, "/k.pem");
  EXPECT_EQ(server->http.tls.server_name, "kube");
  EXPECT_EQ(server->http.authorization->credentials_file, "/home/me/.kube/token");
  EXPECT_FALSE(read_kubeconfig("current-context: z", "f"));
  EXPECT_FALSE(read_kubeconfig("[]", "f"));
  EXPECT_EQ(kubernetes_server({.role = "pod"}).error().code(), base::ErrorCode::kNotFound);
}

// An API server that has pods: lists them in pages of one, and tells changes to whoever watches.
struct ApiServer {
  using Request = connect::http::Request;
  using Reply = connect::http::Reply;
  using Response = connect::http::Response;

  explicit ApiServer(connect::http::ServerOptions options)
      : server([this](const Request& request, Reply reply) { answer(request, std::move(reply)); }, std::move(options)) {
  }

  static std::string pod(const std::string& name, const std::string& ip, int version) {
    return R"({"metadata":{"name":")" + name + R"(","namespace":"shop","resourceVersion":")" + std::to_string(version) +
           R"(","managedFields":[1]},"spec":{"containers":[{"name":"c"}]},"status":{"podIP":")" + ip + "\"}}";
  }

  void answer(const Request& request, Reply reply) {
    base::MutexLock lock(mutex);
    if (request.headers.get("Authorization") != "Bearer " + token)
      return reply.send(Response::json(401, R"({"message":"who are you?"})"));
    paths.push_back(request.target);
    if (request.param("watch")) {
      ++watches;
      if (gone) {
        gone = false;
        return reply.send(Response::json(410, R"({"message":"too old resource version"})"));
      }
      return reply.send({.content_type = "application/json", .body = [this](std::string& out) {
                           base::MutexLock inner(mutex);
                           if (end_watch) {
                             end_watch = false;
                             return false;
                           }
                           while (!events.empty()) {
                             out += events.front();
                             events.pop_front();
                           }
                           return true;
                         }});
    }
    ++lists;
    const std::string from(request.param("continue").value_or("0"));
    const std::size_t at = std::stoul(from);
    const std::string more = at + 1 < pods.size() ? std::to_string(at + 1) : "";
    reply.send(Response::json(200, R"({"metadata":{"resourceVersion":"10","continue":")" + more + R"("},"items":[)" +
                                       (at < pods.size() ? pods[at] : "") + "]}"));
  }
  void tell(const std::string& type, const std::string& object) {
    base::MutexLock lock(mutex);
    events.push_back("{\"type\":\"" + type + "\",\"object\":" + object + "}\n");
  }

  base::Mutex mutex;
  std::string token QD_GUARDED_BY(mutex) = "t1";
  std::vector<std::string> pods QD_GUARDED_BY(mutex);
  std::deque<std::string> events QD_GUARDED_BY(mutex);
  std::vector<std::string> paths QD_GUARDED_BY(mutex);
  bool end_watch QD_GUARDED_BY(mutex) = false;
  bool gone QD_GUARDED_BY(mutex) = false;
  std::atomic<int> lists = 0;
  std::atomic<int> watches = 0;
  connect::http::testing::TestServer server;
};

TEST(KubernetesDiscoverer, lists_and_watches_an_api_server) {
  const base::TempDirectory dir;
  const auto cert = (dir.path() / "cert.pem").string();
  const auto key = (dir.path() / "key.pem").string();
  const auto token = dir.path() / "token";
  connect::http::testing::write_certificate(cert, key, "localhost");
  std::ofstream(token) << "t1\n";
  connect::http::ServerOptions options;
  options.tls = connect::http::ServerTls{.cert_file = cert, .key_file = key};
  ApiServer api(options);
  {
    base::MutexLock lock(api.mutex);
    api.pods = {ApiServer::pod("a", "10.0.0.1", 1), ApiServer::pod("b", "10.0.0.2", 2)};
  }
  base::Registry registry;
  base::ThreadPool pool(2, 100);
  auto client = std::move(*connect::http::Client::create(api.server.loop, {}, registry));
  connect::http::ConfiguredClient configured(*client, api.server.loop.clock());

  KubernetesSdConfig config{.api_server = "https://localhost:" + std::to_string(api.server.port()) + "/",
                            .role = "pod",
                            .namespaces = {"shop"},
                            .selectors = {{.role = "pod", .label = "app in (a,b)", .field = ""}}};
  config.http.tls.ca_file = cert;
  config.http.authorization = connect::http::AuthorizationConfig{.type = "Bearer", .credentials_file = token.string()};
  base::Mutex mutex;
  std::string found;
  std::string fault;
  const auto found_is = [&](const std::string& addresses) {
    return eventually([&] {
      base::MutexLock lock(mutex);
      return found == addresses;
    });
  };
  const auto discoverer =
      make_kubernetes_discoverer(config,
                                 {.scheduler = api.server.loop,
                                  .submit = [&](std::function<void()> task) { return pool.submit(std::move(task)); },
                                  .fetch = configured.as_fetch(),
                                  .log = base::Log::silent(),
                                  .registry = registry},
                                 [&](const base::Result<TargetGroups>& groups) {
                                   base::MutexLock lock(mutex);
                                   if (!groups) {
                                     fault = groups.error().message();
                                     return;
                                   }
                                   found.clear();
                                   for (const auto& group : *groups)
                                     found += std::string(group.targets.at(0).get("__address__")) + " ";
                                 });
  discoverer->start();
  EXPECT_TRUE(found_is("10.0.0.1 10.0.0.2 "));
  EXPECT_EQ(api.lists, 2);
  {
    base::MutexLock lock(api.mutex);
    EXPECT_THAT(api.paths.at(0), AllOf(HasSubstr("/api/v1/namespaces/shop/pods?limit="),
                                       HasSubstr("labelSelector=app%20in%20%28a%2Cb%29")));
  }
  api.tell("ADDED", ApiServer::pod("c", "10.0.0.3", 11));
  EXPECT_TRUE(found_is("10.0.0.1 10.0.0.2 10.0.0.3 "));
  api.tell("DELETED", ApiServer::pod("a", "10.0.0.1", 12));
  api.tell("MODIFIED", ApiServer::pod("b", "10.0.0.9", 13));
  EXPECT_TRUE(found_is("10.0.0.9 10.0.0.3 "));
  // A watch that ends goes on where it was.
  {
    base::MutexLock lock(api.mutex);
    api.end_watch = true;
  }
  EXPECT_TRUE(eventually([&] { return api.watches == 2; }));
  {
    base::MutexLock lock(api.mutex);
    EXPECT_THAT(api.paths.back(), HasSubstr("resourceVersion=13"));
    // And where the server no longer knows the place, everything is listed anew.
    api.pods = {ApiServer::pod("z", "10.0.0.26", 20)};
    api.gone = true;
    api.end_watch = true;
  }
  EXPECT_TRUE(found_is("10.0.0.26 "));
  // A token that was renewed is read; until then what is known stays.
  {
    base::MutexLock lock(api.mutex);
    api.token = "t2";
    api.end_watch = true;
  }
  EXPECT_TRUE(eventually([&] {
    base::MutexLock lock(mutex);
    return fault.find("401") != std::string::npos;
  })) << fault;
  std::ofstream(token) << "t2\n";
  {
    base::MutexLock lock(api.mutex);
    api.pods = {ApiServer::pod("y", "10.0.0.25", 30)};
  }
  EXPECT_TRUE(found_is("10.0.0.25 "));
  discoverer->stop();
  configured.close();
  client.reset();
}

}  // namespace
}  // namespace qd::observe::sd
