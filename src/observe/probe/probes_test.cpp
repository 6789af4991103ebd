#include "observe/probe/probes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <new>
#include <thread>

#include "connect/fake_server_for_test.h"
#include "observe/probe/modules_file.h"
#include "observe/probe/probe_collector.h"
#include "observe/recording_sink.h"

namespace qd::observe::probe {
namespace {

using connect::FakePeer;
using connect::FakeServer;

const base::SystemClock kClock;

using Answer = base::Result<ProbeAnswer>;

std::future<Answer> ask(Probes& probes, ProbeRequest request) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  probes.start(std::move(request), [promise](Answer a) { promise->set_value(std::move(a)); });
  return answer;
}

ProbeRequest tcp(const std::string& target, double timeout_s = 0) {
  return {.module = "tcp_connect", .target = {.target = target, .hostname = {}}, .timeout_s = timeout_s};
}

ProbeRequest ssh(const std::string& target, double timeout_s) {
  auto request = tcp(target, timeout_s);
  request.module = "ssh_banner";
  return request;
}

TEST(Probes, the_shorter_time_counts) {
  EXPECT_EQ(probe_timeout_s(0, 0), 119.5);
  EXPECT_EQ(probe_timeout_s(5, 0), 5);
  EXPECT_EQ(probe_timeout_s(5, 10), 5);
  EXPECT_EQ(probe_timeout_s(15, 10), 9.5);
  EXPECT_EQ(probe_timeout_s(0, 10), 9.5);
  EXPECT_EQ(probe_timeout_s(0, 0.25), 0.25);
  EXPECT_EQ(probe_timeout_s(0, 1e9), 119.5);
}

TEST(Probes, what_is_asked_wrong_is_refused_and_counted) {
  base::Registry registry;
  Probes probes(kClock, registry);
  EXPECT_EQ(ask(probes, tcp("")).get().error().code(), base::ErrorCode::kInvalid);
  auto request = tcp("x:1");
  request.module = "none";
  EXPECT_EQ(ask(probes, request).get().error().code(), base::ErrorCode::kNotFound);
  EXPECT_EQ(probes.unknown_modules(), 1U);
  SelfCollector self(probes, [] { return ReloadState{.succeeded = false, .time_s = 12}; });
  RecordingSink sink;
  ASSERT_TRUE(self.collect(0, sink));
  EXPECT_EQ(sink.value("blackbox_module_unknown_total"), 1);
  EXPECT_EQ(sink.value("blackbox_exporter_config_last_reload_successful"), 0);
  EXPECT_EQ(sink.value("blackbox_exporter_config_last_reload_success_timestamp_seconds"), 12);
}

TEST(Probes, modules_are_those_set_last) {
  base::Registry registry;
  Probes probes(kClock, registry);
  probes.set_modules(*parse_modules("modules: {mine: {prober: tcp}}", "x"));
  auto request = tcp("127.0.0.1:1");
  EXPECT_FALSE(ask(probes, request).get());
  request.module = "mine";
  EXPECT_TRUE(ask(probes, request).get());
}

TEST(Probes, one_that_hangs_delays_no_other_and_too_many_are_refused) {
  base::Registry registry;
  Probes probes(kClock, registry);
  const FakeServer silent([](FakePeer& peer) { peer.wait_for_end(); });
  std::vector<std::future<Answer>> hanging;
  for (std::size_t i = 0; i + 1 < Probes::kAtOnceMax; ++i) hanging.push_back(ask(probes, ssh(silent.address(), 60)));
  const auto done = ask(probes, tcp(silent.address())).get();
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->outcome.status);
  // The place of the one that is done is free a moment after its answer.
  while (hanging.size() < Probes::kAtOnceMax) {
    auto one = ask(probes, ssh(silent.address(), 60));
    if (one.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) hanging.push_back(std::move(one));
  }
  const auto refused = ask(probes, tcp(silent.address())).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kLimit);
  // Stopping does not wait for their minute.
  const std::int64_t from_ns = kClock.monotonic_ns();
  probes.stop();
  EXPECT_LT(kClock.monotonic_ns() - from_ns, 20'000'000'000);
  for (auto& one : hanging) EXPECT_EQ(one.get()->outcome.status.error().code(), base::ErrorCode::kCancelled);
  EXPECT_EQ(ask(probes, tcp(silent.address())).get().error().code(), base::ErrorCode::kCancelled);
}

TEST(Probes, an_answer_that_cannot_be_given_ends_its_probe_alone) {
  base::Registry registry;
  Probes probes(kClock, registry);
  auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> seen = kept;
  probes.start(tcp("127.0.0.1:1"), [kept = std::move(kept)](const Answer&) { throw std::bad_alloc(); });
  while (!seen.expired()) std::this_thread::yield();
  EXPECT_TRUE(ask(probes, tcp("127.0.0.1:1")).get());
  probes.stop();
}

}  // namespace
}  // namespace qd::observe::probe
