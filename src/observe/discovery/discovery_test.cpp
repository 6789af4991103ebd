#include "observe/discovery/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "base/strings.h"
#include "base/thread_pool.h"
#include "connect/http/server.h"
#include "model/config/schema.h"
#include "observe/discovery/config.h"
#include "observe/discovery/fakes_for_test.h"
#include "observe/discovery/probes.h"
#include "observe/discovery/repeated_task.h"

namespace qd::observe::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kRoutes =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "br0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    "lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";

// A machine whose engine, processes and routes are the test's.
struct Machine {
  explicit Machine(DiscoveryOptions options = {}) {
    write("net/route", kRoutes);
    options.docker_socket = engine.socket();
    options.procfs = procfs.path().native();
    discovery.emplace(
        Surroundings{scheduler, submit_to(scheduler), engine.fetch(), base::Log::silent(), registry}, options,
        [this] { ++changes; },
        [this](const std::string& address) {
          asked.push_back(address);
          return probed;
        });
  }
  void write(const std::string& path, std::string_view text) const {
    std::filesystem::create_directories((procfs / path).parent_path());
    std::ofstream(procfs / path) << text;
  }
  // A process that listens at a port of 127.0.0.1.
  void process(std::int64_t pid, std::string_view name, std::uint16_t port, std::string_view cgroup = "0::/\n") const {
    write("net/tcp", fmt::format("heading\n 0: 0100007F:{:04X} 00000000:0000 0A 0:0 0:0 0 0 0 {} 1\n", port, pid));
    write(fmt::format("{}/stat", pid), fmt::format("{} ({}) S 1", pid, name));
    write(fmt::format("{}/cgroup", pid), cgroup);
    std::filesystem::create_directories(procfs / fmt::format("{}/fd", pid));
    std::filesystem::create_symlink(fmt::format("socket:[{}]", pid), procfs / fmt::format("{}/fd/3", pid));
  }
  std::vector<std::string> after_ms(std::int64_t ms) {
    scheduler.advance_ms(ms);
    std::vector<std::string> shown;
    for (const Service& service : *discovery->services()) shown.push_back(service.kind + " " + service.address);
    return shown;
  }

  base::TempDirectory procfs;
  base::ManualClock clock;
  base::ManualScheduler scheduler{clock};
  base::Registry registry;
  FakeEngine engine{scheduler};
  std::atomic<int> changes = 0;
  Probed probed;
  std::vector<std::string> asked;
  std::optional<Discovery> discovery;
};

// What a container of a bridge network says, with these environment and labels.
std::string in_bridge(std::string_view ip, std::string_view environment = "", std::string_view labels = "",
                      std::string_view image = "postgres:16", std::string_view exposed = "") {
  return fmt::format(
      R"(,"NetworkSettings":{{"Networks":{{"bridge":{{"IPAddress":"{}"}}}}}},"Config":{{"Image":"{}","Env":[{}],)"
      R"("Labels":{{{}}},"ExposedPorts":{{{}}}}})",
      ip, image, environment, labels, exposed);
}

TEST(Discovery, shows_what_runs_in_containers_and_outside) {
  Machine it;
  it.engine.containers[id_of('a')] = {.name = "db", .more = in_bridge("172.18.0.2", R"("POSTGRES_PASSWORD=sesame")")};
  it.process(900, "redis-server", 6380);
  EXPECT_THAT(*it.discovery->services(), IsEmpty());
  it.discovery->start();
  EXPECT_THAT(it.after_ms(200), ElementsAre("postgres 172.18.0.2:5432", "redis 127.0.0.1:6380"));
  EXPECT_EQ(it.discovery->services()->front().password, "sesame");
  EXPECT_EQ(it.discovery->services()->back().found_by, "port 6380 of process redis-server (pid 900)");
  EXPECT_THAT(*it.discovery->containers(), SizeIs(1));
  EXPECT_TRUE(it.discovery->engine().connected);
  EXPECT_GE(it.changes, 1);

  it.engine.containers[id_of('b')] = {.name = "cache", .more = in_bridge("172.18.0.3", "", "", "redis:7")};
  it.engine.event("start", id_of('b'));
  EXPECT_THAT(it.after_ms(200),
              ElementsAre("postgres 172.18.0.2:5432", "redis 127.0.0.1:6380", "redis 172.18.0.3:6379"));
  it.engine.containers[id_of('a')].state = "exited";
  it.engine.containers[id_of('a')].pid = 0;
  it.engine.event("die", id_of('a'));
  EXPECT_THAT(it.after_ms(200), ElementsAre("redis 127.0.0.1:6380", "redis 172.18.0.3:6379"));
  std::filesystem::remove_all(it.procfs / "900");
  EXPECT_THAT(it.after_ms(11'000), ElementsAre("redis 172.18.0.3:6379"));
  const int changes = it.changes;
  it.after_ms(120'000);
  EXPECT_EQ(it.changes, changes) << "nothing changed";
}

TEST(Discovery, leaves_processes_of_known_containers_to_them) {
  Machine it;
  it.engine.containers[id_of('a')] = {.name = "db", .more = R"(,"HostConfig":{"NetworkMode":"host"})"};
  it.engine.containers[id_of('a')].image = "postgres:16";
  it.process(4711, "postgres", 5432, "0::/docker/" + id_of('a') + "\n");
  it.discovery->start();
  EXPECT_THAT(it.after_ms(500), ElementsAre("postgres 127.0.0.1:5432"));
  EXPECT_EQ(it.discovery->services()->front().origin, Origin::kContainer);

  Machine without_engine({.docker = "off"});
  without_engine.process(4711, "postgres", 5432, "0::/docker/" + id_of('a') + "\n");
  without_engine.discovery->start();
  EXPECT_THAT(without_engine.after_ms(500), ElementsAre("postgres 127.0.0.1:5432"));
  EXPECT_EQ(without_engine.discovery->services()->front().origin, Origin::kProcess);
  EXPECT_FALSE(without_engine.discovery->engine().enabled);
  EXPECT_THAT(without_engine.engine.asked, IsEmpty());
}

TEST(Discovery, does_not_find_again_what_is_declared) {
  Machine it;
  it.engine.containers[id_of('a')] = {
      .name = "db",
      .more = in_bridge("172.18.0.2") + R"(,"NetworkSettings":{"Networks":{"b":{"IPAddress":"172.18.0.2"}},
        "Ports":{"5432/tcp":[{"HostIp":"0.0.0.0","HostPort":"15432"}]}})"};
  it.process(900, "redis-server", 6379);
  it.discovery->set_declared({{.kind = "postgres", .name = "mine", .address = "localhost:15432"},
                              {.kind = "redis", .name = "mine", .address = "localhost:6379"}});
  it.discovery->start();
  EXPECT_THAT(it.after_ms(500), ElementsAre("postgres localhost:15432", "redis localhost:6379"));
  it.discovery->set_declared({{.kind = "postgres", .name = "mine", .address = "172.18.0.2:5432"}});
  EXPECT_THAT(it.after_ms(500), ElementsAre("postgres 172.18.0.2:5432", "redis 127.0.0.1:6379"));
  EXPECT_EQ(it.discovery->services()->front().name, "mine");
  it.discovery->set_declared({});
  EXPECT_THAT(it.after_ms(500), ElementsAre("postgres 172.18.0.2:5432", "redis 127.0.0.1:6379"));
  EXPECT_EQ(it.discovery->services()->front().name, "db");
}

TEST(Discovery, that_is_off_still_watches_containers) {
  Machine it({.enabled = false});
  it.engine.containers[id_of('a')] = {.name = "db", .more = in_bridge("172.18.0.2")};
  it.process(900, "redis-server", 6379);
  it.discovery->start();
  EXPECT_THAT(it.after_ms(500), IsEmpty());
  EXPECT_THAT(*it.discovery->containers(), SizeIs(1));
  EXPECT_GE(it.changes, 1);
}

TEST(Discovery, reads_secrets_of_containers_once_and_complains_where_it_cannot) {
  Machine it;
  const auto root = it.procfs / "root";
  std::filesystem::create_directories(root / "run/secrets");
  std::filesystem::create_directories(it.procfs / "4711");
  std::filesystem::create_symlink(root, it.procfs / "4711/root");
  std::ofstream(root / "run/secrets/pw") << "sesame\n";
  it.engine.containers[id_of('a')] = {.name = "db",
                                      .more = in_bridge("172.18.0.2", R"("POSTGRES_PASSWORD_FILE=/run/secrets/pw")")};
  it.engine.containers[id_of('b')] = {
      .name = "other", .pid = 4712, .more = in_bridge("172.18.0.3", R"("POSTGRES_PASSWORD_FILE=/run/secrets/pw")")};
  it.discovery->start();
  it.after_ms(500);
  EXPECT_EQ(it.discovery->services()->front().password, "sesame");
  EXPECT_THAT(*it.discovery->complaints(), ElementsAre(HasSubstr("container other: the file")));
  std::filesystem::remove(root / "run/secrets/pw");
  it.engine.containers[id_of('c')] = {.name = "new"};
  it.engine.event("start", id_of('c'));
  it.after_ms(500);
  EXPECT_EQ(it.discovery->services()->front().password, "sesame");
}

TEST(Discovery, says_what_cannot_be_reached) {
  Machine it;
  it.engine.containers[id_of('a')] = {.name = "db", .more = in_bridge("10.0.0.2")};
  it.discovery->start();
  EXPECT_THAT(it.after_ms(500), IsEmpty());
  EXPECT_THAT(*it.discovery->complaints(), ElementsAre(HasSubstr("publish the port")));
}

TEST(Discovery, asks_an_unknown_container_once_what_it_is) {
  Machine it;
  it.probed = {.connected = true, .kind = "openmetrics"};
  constexpr std::string_view kExposed = R"("8080/tcp":{},"53/udp":{})";
  it.engine.containers[id_of('a')] = {.name = "app", .more = in_bridge("172.18.0.2", "", "", "acme/app", kExposed)};
  it.engine.containers[id_of('b')] = {
      .name = "quiet", .more = in_bridge("172.18.0.3", "", R"("prometheus.io/scrape":"false")", "acme/app", kExposed)};
  it.discovery->start();
  EXPECT_THAT(it.after_ms(1000), ElementsAre("openmetrics 172.18.0.2:8080"));
  EXPECT_EQ(it.discovery->services()->front().found_by, "answer at port 8080 of container app");
  EXPECT_THAT(it.asked, ElementsAre("172.18.0.2:8080"));
  it.engine.event("update", id_of('a'));
  EXPECT_THAT(it.after_ms(600'000), ElementsAre("openmetrics 172.18.0.2:8080"));
  EXPECT_THAT(it.asked, SizeIs(1));
  it.engine.containers.clear();
  it.engine.event("destroy", id_of('a'));
  EXPECT_THAT(it.after_ms(1000), IsEmpty());
}

TEST(Discovery, gives_a_young_container_time_before_it_is_asked) {
  Machine it;
  it.probed = {.connected = true};
  it.discovery->start();
  it.after_ms(1000);
  it.engine.containers[id_of('a')] = {.name = "app",
                                      .more = in_bridge("172.18.0.2", "", "", "acme/app", R"("80/tcp":{})") +
                                              fmt::format(R"(,"State":{{"Status":"running","Pid":7,"StartedAt":"{}"}})",
                                                          base::format_time(it.clock.wall_ms()))};
  it.engine.event("start", id_of('a'));
  it.after_ms(2000);
  EXPECT_THAT(it.asked, IsEmpty());
  it.after_ms(2000);
  EXPECT_THAT(it.asked, ElementsAre("172.18.0.2:80"));
  EXPECT_THAT(it.after_ms(600'000), IsEmpty());
  EXPECT_THAT(it.asked, SizeIs(1)) << "it answered, in no known way";
}

TEST(Discovery, with_ten_thousand_containers_is_quick) {
  Machine it;
  for (int i = 0; i < 10'000; ++i) {
    it.engine.containers[fmt::format("{:064x}", i)] = {
        .name = fmt::format("c{}", i),
        .more = in_bridge(fmt::format("172.18.{}.{}", i / 250, i % 250), R"("REDIS_PASSWORD=x")", "", "redis:7")};
  }
  it.discovery->start();
  const auto began = std::chrono::steady_clock::now();
  it.after_ms(5'000);
  EXPECT_THAT(*it.discovery->services(), SizeIs(10'000));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
}

// The real event loop, HTTP client and pool, and an engine on a Unix socket.
TEST(Discovery, on_real_threads_shows_a_container_within_a_second) {
  base::TempDirectory dir;
  base::Registry registry;
  connect::EventLoop loop;
  base::ThreadPool pool(2, 1000);
  std::mutex mutex;
  std::string body = "[]";
  std::string event;
  const auto list = fmt::format(R"([{{"Id":"{}","State":"running"}}])", id_of('a'));
  auto server = connect::http::Server::start(
      loop, {.unix_socket_path = dir / "docker.sock"},
      [&](const connect::http::Request& request, connect::http::Reply reply) {
        const std::lock_guard lock(mutex);
        auto response = connect::http::Response::json(200, "");
        response.headers.add("Api-Version", "1.41");
        if (request.path.ends_with("/containers/json")) {
          response.body = body;
        } else if (request.path.ends_with("/json")) {
          response.body = fmt::format(R"({{"Id":"{}","Name":"/db","State":{{"Status":"running","Pid":1}},
            "HostConfig":{{"NetworkMode":"host"}},"Config":{{"Image":"postgres:16"}}}})",
                                      id_of('a'));
        } else if (request.path.ends_with("/events")) {
          response.body = [&](std::string& out) {
            const std::lock_guard lock_event(mutex);
            out = std::exchange(event, {});
            return true;
          };
        }
        reply.send(std::move(response));
      },
      base::Log::silent(), registry);
  ASSERT_TRUE(server) << server.error().message();
  auto client = std::move(*connect::http::Client::create(loop, {}, registry));
  ASSERT_TRUE(loop.start(2));
  std::atomic<int> changes = 0;
  Discovery discovery({loop, [&](std::function<void()> task) { return pool.submit(std::move(task)); },
                       connect::docker::fetch_by(*client), base::Log::silent(), registry},
                      {.processes = false, .docker_socket = dir / "docker.sock"}, [&] { ++changes; });
  discovery.start();
  const auto eventually = [](const std::function<bool()>& condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return condition();
  };
  ASSERT_TRUE(eventually([&] { return discovery.engine().connected; }));
  EXPECT_THAT(*discovery.services(), IsEmpty());
  {
    const std::lock_guard lock(mutex);
    body = list;
    event = fmt::format("{{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{{\"ID\":\"{}\"}}}}\n", id_of('a'));
  }
  EXPECT_TRUE(eventually([&] { return discovery.services()->size() == 1; }));
  EXPECT_GE(changes, 1);
  discovery.stop();
  const int at_stop = changes;
  {
    const std::lock_guard lock(mutex);
    event = fmt::format("{{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{{\"ID\":\"{}\"}}}}\n", id_of('a'));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(changes, at_stop);
  client.reset();
}

TEST(Probes, ask_a_port_once_and_one_that_is_closed_some_times) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  Probes probes;
  const Probes::Key app{id_of('a'), 80}, closed{id_of('b'), 81};
  probes.want(app, "10.0.0.1:80", 5 * kSecond);
  probes.want(closed, "10.0.0.2:81", 6 * kSecond);
  EXPECT_FALSE(probes.due(4 * kSecond));
  EXPECT_EQ(probes.due(5 * kSecond)->address, "10.0.0.1:80");
  EXPECT_TRUE(probes.done(app, {.connected = true, .kind = "redis"}, 5 * kSecond));
  EXPECT_EQ(probes.kind(app), "redis");
  probes.want(app, "10.0.0.1:80", 5 * kSecond);
  std::vector<std::int64_t> tries;
  while (const auto next_ns = probes.next_ns()) {
    tries.push_back(*next_ns / kSecond);
    EXPECT_EQ(probes.due(*next_ns)->key, closed);
    EXPECT_FALSE(probes.done(closed, {}, *next_ns));
  }
  EXPECT_THAT(tries, ElementsAre(6, 16, 76, 436));
  probes.want(closed, "10.0.0.2:81", 0);
  EXPECT_FALSE(probes.next_ns());
  probes.keep({id_of('b')});
  EXPECT_EQ(probes.kind(app), "");
  probes.want(app, "10.0.0.1:80", 0);
  EXPECT_TRUE(probes.due(0));
}

TEST(RepeatedTask, runs_once_for_all_who_asked_and_a_tenth_of_the_time) {
  base::ManualClock clock;
  base::ManualScheduler scheduler(clock);
  std::vector<std::int64_t> runs_ms;
  std::int64_t cost_ms = 0;
  RepeatedTask task(scheduler, submit_to(scheduler), 50, [&] {
    runs_ms.push_back(clock.monotonic_ns() / 1'000'000);
    clock.advance_ms(cost_ms);
  });
  for (int i = 0; i < 3; ++i) task.ask();
  scheduler.advance_ms(10);
  EXPECT_THAT(runs_ms, ElementsAre(0));
  task.ask();
  cost_ms = 20;
  scheduler.advance_ms(100);
  EXPECT_THAT(runs_ms, ElementsAre(0, 50));
  task.ask();
  cost_ms = 0;
  scheduler.advance_ms(1000);
  EXPECT_THAT(runs_ms, ElementsAre(0, 50, 270));
  const std::int64_t now_ms = clock.monotonic_ns() / 1'000'000;
  task.ask((now_ms + 500) * 1'000'000);
  task.ask((now_ms + 300) * 1'000'000);
  task.ask((now_ms + 900) * 1'000'000);
  scheduler.advance_ms(2000);
  EXPECT_EQ(runs_ms.size(), 4);
  EXPECT_EQ(runs_ms.back(), now_ms + 300);
  task.stop();
  task.ask();
  scheduler.advance_ms(1000);
  EXPECT_EQ(runs_ms.size(), 4);
}

TEST(RepeatedTask, that_the_pool_refuses_comes_later) {
  base::ManualClock clock;
  base::ManualScheduler scheduler(clock);
  bool full = true;
  int runs = 0;
  RepeatedTask task(
      scheduler,
      [&](const std::function<void()>& run) -> base::Status {
        if (full) return base::fail(base::ErrorCode::kLimit, "full");
        run();
        return {};
      },
      50, [&] { ++runs; });
  task.ask();
  scheduler.advance_ms(2000);
  EXPECT_EQ(runs, 0);
  full = false;
  scheduler.advance_ms(1000);
  EXPECT_EQ(runs, 1);
}

TEST(Settings, have_documented_defaults_and_are_checked) {
  DiscoveryOptions options;
  model::config::Schema schema;
  declare(schema, options);
  ASSERT_TRUE(schema.load({.sets = {"observe.docker.enabled=on", "observe.docker.socket=unix:///tmp/x.sock",
                                    "observe.docker.containers_limit=5", "observe.discovery.processes=false"}}));
  EXPECT_EQ(options.docker, "on");
  EXPECT_EQ(options.containers_limit, 5);
  EXPECT_TRUE(options.enabled);
  EXPECT_FALSE(options.processes);
  EXPECT_THAT(sockets_of(options), ElementsAre("/tmp/x.sock"));
  EXPECT_THAT(sockets_of({}), ElementsAre("/var/run/docker.sock", "/run/podman/podman.sock"));
  for (const char* bad :
       {"observe.docker.enabled=maybe", "observe.docker.socket=docker.sock", "observe.docker.containers_limit=0"}) {
    DiscoveryOptions others;
    model::config::Schema other;
    declare(other, others);
    EXPECT_FALSE(other.load({.sets = {bad}})) << bad;
  }
}

}  // namespace
}  // namespace qd::observe::discovery
