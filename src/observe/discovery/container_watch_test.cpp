#include "observe/discovery/container_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "observe/discovery/fakes_for_test.h"

namespace qd::observe::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

double value_of(const base::Registry& registry, std::string_view name, std::string_view label = "") {
  double sum = 0;
  for (const auto& family : registry.collect()) {
    for (const auto& sample : family.samples) {
      if (sample.name == name && (label.empty() || sample.labels.front().second == label)) sum += sample.value;
    }
  }
  return sum;
}

struct Watched {
  explicit Watched(ContainerWatchOptions options = {}) {
    if (options.sockets.empty()) options.sockets = {engine.socket()};
    watch.emplace(Surroundings{scheduler, submit_to(scheduler), engine.fetch(), log(), registry}, std::move(options),
                  [this] { ++changes; });
  }

  base::Log& log() { return *log_; }
  std::string logged() {
    std::rewind(file_);
    std::string text(1 << 20, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }
  std::size_t logged(std::string_view message) {
    std::size_t n = 0;
    const std::string text = logged();
    for (auto at = text.find(message); at != std::string::npos; at = text.find(message, at + 1)) ++n;
    return n;
  }

  // Name and state of each container, after `ms` have passed.
  std::vector<std::string> after_ms(std::int64_t ms) {
    scheduler.advance_ms(ms);
    std::vector<std::string> shown;
    for (const Container& container : *watch->containers()) shown.push_back(container.name + " " + container.state);
    return shown;
  }

  base::ManualClock clock;
  base::ManualScheduler scheduler{clock};
  base::Registry registry;
  std::FILE* const file_ = std::tmpfile();
  std::unique_ptr<base::Log> log_ =
      std::make_unique<base::Log>(clock, ::fileno(file_), base::LogFormat::kText, base::LogLevel::kDebug);
  FakeEngine engine{scheduler};
  int changes = 0;
  std::optional<ContainerWatch> watch;
};

TEST(ContainerWatch, lists_and_inspects_all_at_the_start) {
  Watched it;
  it.engine.containers[id_of('a')] = {.name = "db", .image = "postgres:16", .more = R"(,"RestartCount":3)"};
  it.engine.containers[id_of('b')] = {.name = "old", .state = "exited", .pid = 0};
  EXPECT_THAT(*it.watch->containers(), IsEmpty());
  it.watch->start();
  EXPECT_THAT(it.after_ms(50), ElementsAre("db running", "old exited"));
  const auto list = it.watch->containers();
  EXPECT_EQ(list->front().image, "postgres:16");
  EXPECT_EQ(list->front().restart_count, 3);
  EXPECT_GE(it.changes, 1);
  const auto state = it.watch->state();
  EXPECT_TRUE(state.connected);
  EXPECT_EQ(state.socket, it.engine.socket());
  EXPECT_EQ(state.api_version, "1.41");
  EXPECT_EQ(state.containers, 2);
  EXPECT_FALSE(state.error);
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_connected"), 1);
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_containers"), 2);
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_inspects_total", "ok"), 2);
  EXPECT_EQ(it.engine.asked[1].find("/v1.41/events?since=1699999998&"), 0) << it.engine.asked[1];
}

TEST(ContainerWatch, shows_a_container_and_its_end_as_events_tell_them) {
  Watched it;
  it.watch->start();
  EXPECT_THAT(it.after_ms(50), IsEmpty());
  it.engine.containers[id_of('a')] = {.name = "web"};
  it.engine.event("create", id_of('a'));
  it.engine.event("start", id_of('a'));
  EXPECT_THAT(it.after_ms(100), ElementsAre("web running"));
  it.engine.containers[id_of('a')].name = "shop";
  it.engine.event("rename", id_of('a'));
  EXPECT_THAT(it.after_ms(100), ElementsAre("shop running"));
  it.engine.containers[id_of('a')].more = R"(,"State":{"Status":"running","Pid":4711,"Health":{"Status":"healthy"}})";
  it.engine.event("health_status: healthy", id_of('a'));
  it.after_ms(100);
  // Boost.JSON keeps the last of two equal keys.
  EXPECT_EQ(it.watch->containers()->front().health, "healthy");

  // The engine is slow to say what it is now: what is known is shown at once.
  it.engine.delay_ms = 700;
  it.engine.containers[id_of('a')] = {.name = "shop", .state = "exited", .pid = 0, .more = R"(,"RestartCount":1)"};
  it.engine.event("die", id_of('a'));
  EXPECT_THAT(it.after_ms(100), ElementsAre("shop exited"));
  EXPECT_EQ(it.watch->containers()->front().pid, 0);
  EXPECT_EQ(it.watch->containers()->front().restart_count, 0);
  it.after_ms(1000);
  EXPECT_EQ(it.watch->containers()->front().restart_count, 1);
  it.engine.containers.clear();
  it.engine.event("destroy", id_of('a'));
  EXPECT_THAT(it.after_ms(100), IsEmpty());
  EXPECT_EQ(it.watch->state().containers, 0);
}

TEST(ContainerWatch, asks_nothing_for_events_that_change_nothing) {
  Watched it;
  it.engine.containers[id_of('a')] = {};
  it.watch->start();
  it.after_ms(100);
  const auto asked = it.engine.asked.size();
  const int changes = it.changes;
  for (int i = 0; i < 10; ++i) {
    it.engine.event("exec_create: /bin/true", id_of('a'));
    it.engine.event("exec_die", id_of('a'));
  }
  it.engine.event("update", id_of('a'));  // asked about, and as it was
  it.after_ms(1000);
  EXPECT_EQ(it.engine.asked.size(), asked + 1);
  EXPECT_EQ(it.changes, changes);
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_events_total"), 21);
}

TEST(ContainerWatch, a_container_that_dies_between_list_and_inspection_is_normal) {
  Watched it;
  it.engine.delay_ms = 10;
  it.engine.containers[id_of('a')] = {.name = "brief"};
  it.engine.containers[id_of('b')] = {.name = "stays"};
  it.watch->start();
  it.after_ms(10);  // the ping
  it.engine.containers.erase(id_of('a'));
  EXPECT_THAT(it.after_ms(100), ElementsAre("stays running"));
  EXPECT_EQ(it.watch->state().containers, 1);
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_inspects_total", "gone"), 1);
  EXPECT_EQ(it.logged("error"), 0) << it.logged();
}

TEST(ContainerWatch, an_answer_from_before_the_last_event_is_not_shown) {
  Watched it;
  it.watch->start();
  it.after_ms(100);
  it.engine.delay_ms = 200;
  it.engine.containers[id_of('a')] = {.name = "web"};
  it.engine.event("start", id_of('a'));
  it.after_ms(300);
  it.engine.event("update", id_of('a'));
  it.after_ms(100);
  it.engine.containers[id_of('a')] = {.name = "web", .state = "exited", .pid = 0};
  it.engine.event("die", id_of('a'));
  for (int i = 0; i < 10; ++i) EXPECT_THAT(it.after_ms(100), ElementsAre("web exited"));
  it.engine.event("destroy", id_of('a'));
  it.engine.containers.clear();
  EXPECT_THAT(it.after_ms(1000), IsEmpty());
}

TEST(ContainerWatch, compares_with_the_list_every_minute_and_asks_only_about_what_differs) {
  Watched it;
  it.engine.containers[id_of('a')] = {.name = "same"};
  it.engine.containers[id_of('b')] = {.name = "other"};
  it.engine.containers[id_of('c')] = {.name = "gone"};
  it.watch->start();
  it.after_ms(100);
  const auto inspects = value_of(it.registry, "quarterdeck_docker_inspects_total", "ok");
  // No event tells of these.
  it.engine.containers[id_of('b')].name = "renamed";
  it.engine.containers.erase(id_of('c'));
  it.engine.containers[id_of('d')] = {.name = "new"};
  EXPECT_THAT(it.after_ms(50'000), ElementsAre("same running", "other running", "gone running"));
  EXPECT_THAT(it.after_ms(10'000), ElementsAre("same running", "renamed running", "new running"));
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_inspects_total", "ok"), inspects + 2);
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_lists_total"), 2);
}

TEST(ContainerWatch, reads_all_anew_after_a_break_and_says_so_once) {
  Watched it;
  it.engine.containers[id_of('a')] = {.name = "web"};
  it.watch->start();
  it.after_ms(20'000);
  const auto since = it.watch->state().since_ms;
  it.engine.refusal = base::Error(base::ErrorCode::kUnavailable, "connection refused");
  it.engine.end_stream();
  EXPECT_THAT(it.after_ms(100), ElementsAre("web running")) << "what was known stays";
  EXPECT_FALSE(it.watch->state().connected);
  EXPECT_GT(it.watch->state().since_ms, since);
  const auto pings = it.engine.count("/_ping");
  it.after_ms(10 * 60'000);
  const auto tries = it.engine.count("/_ping") - pings;
  EXPECT_GE(tries, 20);
  EXPECT_LE(tries, 27) << "it backs off to half a minute";
  EXPECT_EQ(it.logged("containers cannot be watched"), 1) << it.logged();
  EXPECT_NE(it.watch->state().error->message().find("connection refused"), std::string::npos);

  it.engine.refusal.reset();
  it.engine.containers[id_of('a')].more = R"(,"RestartCount":7)";  // nothing of it shows in the list
  it.after_ms(31'000);
  EXPECT_TRUE(it.watch->state().connected);
  EXPECT_EQ(it.watch->containers()->front().restart_count, 7);
  EXPECT_EQ(it.logged("watching containers"), 2) << it.logged();
}

TEST(ContainerWatch, while_the_engine_is_away_a_process_that_ends_is_seen) {
  base::TempDirectory procfs;
  std::filesystem::create_directory(procfs / "100");
  Watched it({.procfs = procfs.path().native()});
  it.engine.containers[id_of('a')] = {.name = "web", .pid = 100};
  it.engine.containers[id_of('b')] = {.name = "hidden", .pid = 200};
  it.watch->start();
  it.after_ms(1000);
  it.engine.refusal = base::Error(base::ErrorCode::kUnavailable, "connection refused");
  it.engine.end_stream();
  EXPECT_THAT(it.after_ms(5000), ElementsAre("web running", "hidden running"));
  std::filesystem::remove(procfs / "100");
  EXPECT_THAT(it.after_ms(1100), ElementsAre("web exited", "hidden running"));
}

TEST(ContainerWatch, an_engine_that_is_not_there_is_no_fault_unless_it_must_be) {
  for (const bool required : {false, true}) {
    Watched it({.required = required});
    it.engine.remove_socket();
    it.watch->start();
    it.after_ms(60'000);
    EXPECT_EQ(it.logged("containers cannot be watched"), required ? 1 : 0) << it.logged();
    EXPECT_EQ(it.watch->state().error->code(), base::ErrorCode::kNotFound);
    EXPECT_NE(it.watch->state().error->message().find(it.engine.socket()), std::string::npos);
    EXPECT_THAT(it.engine.asked, IsEmpty());
    it.engine.make_socket();
    it.engine.containers[id_of('a')] = {.name = "web"};
    EXPECT_THAT(it.after_ms(2100), ElementsAre("web running"));
  }
}

TEST(ContainerWatch, uses_the_first_socket_that_is_there) {
  Watched it;
  Watched other({.sockets = {"/nonexistent/docker.sock", it.engine.socket()}});
  other.watch->start();
  other.after_ms(100);
  EXPECT_EQ(other.watch->state().socket, it.engine.socket());
}

TEST(ContainerWatch, a_socket_without_permission_says_the_cure) {
  Watched it;
  it.engine.refusal = base::Error(base::ErrorCode::kPermission, "no");
  it.watch->start();
  it.after_ms(100);
  const auto error = it.watch->state().error;
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), base::ErrorCode::kPermission);
  EXPECT_NE(error->message().find("usermod -aG docker"), std::string::npos);
  EXPECT_EQ(it.logged("SupplementaryGroups=docker"), 1) << it.logged();
}

TEST(ContainerWatch, an_engine_that_fails_for_one_container_is_asked_again_and_the_rest_goes_on) {
  Watched it;
  it.engine.inspect_status = 500;
  it.engine.containers[id_of('a')] = {.name = "web"};
  it.watch->start();
  EXPECT_THAT(it.after_ms(5'000), IsEmpty());
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_inspects_total", "error"), 3);
  EXPECT_TRUE(it.watch->state().connected);
  it.engine.inspect_status = 200;
  EXPECT_THAT(it.after_ms(60'000), ElementsAre("web running"));
}

TEST(ContainerWatch, ten_thousand_containers_are_asked_about_a_few_at_a_time) {
  Watched it;
  for (int i = 0; i < 10'000; ++i) it.engine.containers[fmt::format("{:064x}", i)] = {.name = fmt::format("c{}", i)};
  it.engine.delay_ms = 1;
  it.watch->start();
  for (int i = 0; i < 2000; ++i) {
    it.scheduler.advance_ms(1);
    ASSERT_LE(it.engine.asked.size() - it.engine.answered, ContainerWatch::kInspectsAtOnce + 1);
  }
  it.scheduler.advance_ms(5000);
  EXPECT_EQ(it.watch->containers()->size(), 10'000);
  EXPECT_TRUE(std::ranges::is_sorted(*it.watch->containers(), {}, &Container::id));
  EXPECT_LT(it.changes, 200);
}

TEST(ContainerWatch, beyond_the_limit_those_that_run_come_first) {
  Watched it({.containers_max = 3});
  for (int i = 0; i < 8; ++i) {
    it.engine.containers[fmt::format("{:064x}", i)] = {.name = fmt::format("c{}", i),
                                                       .state = i % 2 == 0 ? "exited" : "running"};
  }
  it.watch->start();
  EXPECT_THAT(it.after_ms(100), ElementsAre("c1 running", "c3 running", "c5 running"));
  it.engine.event("start", fmt::format("{:064x}", 7));
  it.after_ms(120'000);
  EXPECT_EQ(it.watch->containers()->size(), 3);
  EXPECT_EQ(it.watch->state().left_out, 5);
  EXPECT_EQ(it.logged("observe.docker.containers_limit"), 1);
  EXPECT_EQ(value_of(it.registry, "quarterdeck_docker_containers_left_out"), 5);
}

TEST(ContainerWatch, after_stop_nothing_is_asked_nor_told) {
  Watched it;
  it.engine.containers[id_of('a')] = {.name = "web"};
  it.engine.delay_ms = 10;
  it.watch->start();
  it.scheduler.advance_ms(25);
  it.watch->stop();
  EXPECT_EQ(it.engine.cancelled, 1);
  const auto asked = it.engine.asked.size();
  const int changes = it.changes;
  it.watch.reset();
  it.scheduler.advance_ms(200'000);
  EXPECT_EQ(it.engine.asked.size(), asked);
  EXPECT_EQ(it.changes, changes);
}

TEST(ContainerWatch, secrets_of_containers_are_not_in_the_log) {
  Watched it;
  it.engine.containers[id_of('a')] = {.name = "db",
                                      .more = R"(,"Config":{"Image":"postgres","Env":["POSTGRES_PASSWORD=sesame"]})"};
  it.watch->start();
  it.after_ms(100);
  EXPECT_EQ(it.watch->containers()->front().environment.at("POSTGRES_PASSWORD"), "sesame");
  it.engine.containers[id_of('a')].more = R"(,"Config":{"Env":["POSTGRES_PASSWORD=sesame)";
  it.engine.event("update", id_of('a'));
  it.after_ms(5000);
  it.engine.end_stream();
  it.after_ms(5000);
  EXPECT_EQ(it.logged("sesame"), 0) << it.logged();
}

}  // namespace
}  // namespace qd::observe::discovery
