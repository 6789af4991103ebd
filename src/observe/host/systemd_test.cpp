#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include "observe/host/opt_in_families.h"
#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::IsEmpty;

struct FakeUnit {
  std::string name;
  std::string active = "active";
  std::string load = "loaded";
};

struct FakeState {
  std::string version = "252.38-1~deb12u1";
  std::string virtualization = "kvm";
  std::string state = "running";
  std::vector<FakeUnit> units;
  std::map<std::string, std::uint64_t> numbers;  // "<unit> <property>"
  std::map<std::string, std::string> texts;
};

// systemd behind its own socket, on a thread of its own: answers what is asked of its manager and of its units.
class FakeSystemd {
 public:
  FakeSystemd(const std::string& path, FakeState state) : state_(std::move(state)), wake_(::eventfd(0, EFD_CLOEXEC)) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    QD_ASSERT(listener_ >= 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    QD_ASSERT(path.size() < sizeof(address.sun_path), path);
    path.copy(address.sun_path, path.size());
    QD_ASSERT(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, path);
    QD_ASSERT(::listen(listener_, 4) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeSystemd() {
    const std::uint64_t one = 1;
    QD_ASSERT(::write(wake_, &one, sizeof(one)) == sizeof(one));
    thread_.join();
    ::close(listener_);
    ::close(wake_);
  }
  FakeSystemd(const FakeSystemd&) = delete;
  FakeSystemd& operator=(const FakeSystemd&) = delete;

  // Says nothing any more, and keeps the connection.
  void fall_silent() { silent_ = true; }
  int questions() const { return questions_; }

 private:
  void serve() {
    while (wait_for(listener_, POLLIN, -1)) {
      const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (peer >= 0) answer(peer);
    }
  }

  // False once this is to end.
  bool wait_for(int descriptor, short events, int timeout_ms) const {
    pollfd descriptors[] = {{descriptor, events, 0}, {wake_, POLLIN, 0}};
    ::poll(descriptors, 2, timeout_ms);
    return (descriptors[1].revents & POLLIN) == 0;
  }

  void answer(int peer) {
    sd_bus* bus = nullptr;
    sd_id128_t id;
    QD_ASSERT(sd_id128_randomize(&id) >= 0);
    QD_ASSERT(sd_bus_new(&bus) >= 0);
    QD_ASSERT(sd_bus_set_fd(bus, peer, peer) >= 0);
    QD_ASSERT(sd_bus_set_server(bus, 1, id) >= 0);
    QD_ASSERT(sd_bus_set_anonymous(bus, 1) >= 0);
    QD_ASSERT(sd_bus_add_filter(bus, nullptr, on_message, this) >= 0);
    QD_ASSERT(sd_bus_start(bus) >= 0);
    while (true) {
      const int status = sd_bus_process(bus, nullptr);
      if (status < 0) break;
      if (status > 0) continue;
      const int events = sd_bus_get_events(bus);
      if (events < 0 || !wait_for(sd_bus_get_fd(bus), static_cast<short>(events), 100)) break;
    }
    sd_bus_close_unref(bus);
  }

  static int on_message(sd_bus_message* message, void* data, sd_bus_error*) {
    auto& self = *static_cast<FakeSystemd*>(data);
    if (sd_bus_message_is_method_call(message, nullptr, nullptr) <= 0) return 0;
    ++self.questions_;
    if (self.silent_) return 1;
    if (sd_bus_message_is_method_call(message, "org.freedesktop.systemd1.Manager", "ListUnits") > 0) {
      self.list(message);
    } else {
      self.get(message);
    }
    return 1;
  }

  void list(sd_bus_message* question) {
    sd_bus_message* answer = nullptr;
    QD_ASSERT(sd_bus_message_new_method_return(question, &answer) >= 0);
    QD_ASSERT(sd_bus_message_open_container(answer, 'a', "(ssssssouso)") >= 0);
    for (std::size_t i = 0; i < state_.units.size(); ++i) {
      const FakeUnit& unit = state_.units[i];
      const std::string path = "/unit/" + std::to_string(i);
      QD_ASSERT(sd_bus_message_append(answer, "(ssssssouso)", unit.name.c_str(), "about", unit.load.c_str(),
                                      unit.active.c_str(), "sub", "", path.c_str(), 0U, "", "/") >= 0);
    }
    QD_ASSERT(sd_bus_message_close_container(answer) >= 0);
    sd_bus_send(nullptr, answer, nullptr);
    sd_bus_message_unref(answer);
  }

  void get(sd_bus_message* question) {
    const char *interface = nullptr, *property = nullptr;
    QD_ASSERT(sd_bus_message_read(question, "ss", &interface, &property) > 0);
    const std::string_view path = sd_bus_message_get_path(question);
    const std::string name = property;
    if (path == "/org/freedesktop/systemd1") {
      const std::string& text = name == "Version"          ? state_.version
                                : name == "Virtualization" ? state_.virtualization
                                                           : state_.state;
      sd_bus_reply_method_return(question, "v", "s", text.c_str());
      return;
    }
    const std::string key = state_.units.at(std::stoul(std::string(path.substr(6)))).name + " " + name;
    if (const auto text = state_.texts.find(key); text != state_.texts.end()) {
      sd_bus_reply_method_return(question, "v", "s", text->second.c_str());
    } else if (const auto number = state_.numbers.find(key); number == state_.numbers.end()) {
      sd_bus_reply_method_errorf(question, SD_BUS_ERROR_UNKNOWN_PROPERTY, "Unknown property %s", property);
    } else if (name.ends_with("USec") || name.ends_with("Timestamp")) {
      sd_bus_reply_method_return(question, "v", "t", number->second);
    } else {
      sd_bus_reply_method_return(question, "v", "u", static_cast<unsigned>(number->second));
    }
  }

  const FakeState state_;
  const int wake_;
  int listener_ = -1;
  std::atomic<bool> silent_ = false;
  std::atomic<int> questions_ = 0;
  std::thread thread_;
};

class HostSystemd : public testing::Test {
 protected:
  std::unique_ptr<Part> part() { return systemd_part(reader, Roots{"", "", tree.at("root"), ""}); }
  std::string own_socket() { return tree.at("root/run/systemd/private"); }
  // The second pass finds the second socket, and mostly its answers; on a busy machine another pass at the same time.
  Told first_answers(Part& part) {
    (void)pass_of(part, clock);
    Told told;
    for (int tries = 0; tries < 100; ++tries) {
      told = {};
      told.outcome = part.collect({told.sink, clock, clock.monotonic_ns() + 5'000'000'000, 1});
      if (told.outcome.ok) break;
    }
    clock.advance_ms(5000);
    return told;
  }

  Tree tree;
  FileReader reader;
  base::ManualClock clock;
};

TEST_F(HostSystemd, units_are_told_as_systemd_tells_them) {
  FakeState state;
  state.units = {{"web.service"},
                 {"web.socket"},
                 {"tidy.timer", "inactive"},
                 {"broken.service", "failed"},
                 {"dev-sda.device"},
                 {"missing.service", "inactive", "not-found"},
                 {"multi-user.target"}};
  state.texts = {{"web.service Type", "notify"}, {"broken.service Type", "simple"}};
  state.numbers = {{"web.service ActiveEnterTimestamp", 1'700'000'000'500'000},
                   {"web.service NRestarts", 3},
                   {"broken.service NRestarts", 4},
                   {"web.socket ActiveEnterTimestamp", 1'600'000'000'000'000},
                   {"web.socket NAccepted", 7},
                   {"web.socket NConnections", 2},
                   {"tidy.timer LastTriggerUSec", 1'500'000'000'000'000}};
  const FakeSystemd systemd(own_socket(), state);
  const auto it = part();
  const Told told = first_answers(*it);
  ASSERT_TRUE(told.outcome.ok) << told.outcome.what;
  EXPECT_THAT(told.sink.faults(), IsEmpty());
  EXPECT_EQ(told.value(R"(node_systemd_version{version="252.38-1~deb12u1"})"), 252.38);
  EXPECT_EQ(told.value(R"(node_systemd_virtualization_info{virtualization_type="kvm"})"), 1);
  EXPECT_EQ(told.value("node_systemd_system_running"), 1);
  expect_in_table(told.sink, systemd_families());
  EXPECT_EQ(told.value(R"(node_systemd_units{state="active"})"), 4);
  EXPECT_EQ(told.value(R"(node_systemd_units{state="inactive"})"), 2);
  EXPECT_EQ(told.value(R"(node_systemd_units{state="failed"})"), 1);
  EXPECT_EQ(told.value(R"(node_systemd_units{state="activating"})"), 0);
  const auto unit = [&](const std::string& name, const std::string& what, const std::string& type) {
    return told.value("node_systemd_unit_state{name=\"" + name + "\",state=\"" + what + "\",type=\"" + type + "\"}");
  };
  EXPECT_EQ(unit("web.service", "active", "notify"), 1);
  EXPECT_EQ(unit("web.service", "failed", "notify"), 0);
  EXPECT_EQ(unit("broken.service", "failed", "simple"), 1);
  EXPECT_EQ(unit("multi-user.target", "active", ""), 1);
  EXPECT_EQ(unit("dev-sda.device", "active", ""), std::nullopt);
  EXPECT_EQ(unit("missing.service", "inactive", ""), std::nullopt) << "it is not loaded";
  EXPECT_EQ(told.value(R"(node_systemd_unit_start_time_seconds{name="web.service"})"), 1'700'000'000.5);
  EXPECT_EQ(told.value(R"(node_systemd_unit_start_time_seconds{name="broken.service"})"), 0);
  EXPECT_EQ(told.value(R"(node_systemd_service_restart_total{name="web.service"})"), 3);
  EXPECT_EQ(told.value(R"(node_systemd_timer_last_trigger_seconds{name="tidy.timer"})"), 1'500'000'000);
  EXPECT_EQ(told.value(R"(node_systemd_socket_accepted_connections_total{name="web.socket"})"), 7);
  EXPECT_EQ(told.value(R"(node_systemd_socket_current_connections{name="web.socket"})"), 2);
  EXPECT_EQ(told.value(R"(node_systemd_socket_refused_connections_total{name="web.socket"})"), std::nullopt)
      << "an older systemd does not know it";
}

TEST_F(HostSystemd, a_systemd_that_falls_silent_holds_no_pass_and_its_last_state_is_told_for_a_minute) {
  FakeState state;
  state.units = {{"a.target"}};
  FakeSystemd systemd(own_socket(), state);
  const auto it = part();
  ASSERT_TRUE(first_answers(*it).outcome.ok);
  systemd.fall_silent();
  const auto from = std::chrono::steady_clock::now();
  int told_passes = 0;
  int passes = 0;
  int error = 0;
  for (; passes < 20 && error == 0; ++passes) {
    const Told later = pass_of(*it, clock);
    error = later.outcome.error;
    if (later.outcome.ok) {
      ++told_passes;
      EXPECT_EQ(later.value("node_systemd_system_running"), 1);
    }
  }
  EXPECT_EQ(told_passes, 11) << "of passes every five seconds";
  EXPECT_NE(error, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(5));
}

TEST_F(HostSystemd, a_round_is_asked_every_fifteen_seconds) {
  FakeState state;
  state.units = {{"a.target"}};
  const FakeSystemd systemd(own_socket(), state);
  const auto it = part();
  ASSERT_TRUE(first_answers(*it).outcome.ok);
  const int once = systemd.questions();
  EXPECT_EQ(once, 5) << "of the manager three and the list; and since when a.target is active";
  (void)pass_of(*it, clock);
  (void)pass_of(*it, clock);
  EXPECT_EQ(systemd.questions(), once);
  (void)pass_of(*it, clock);
  EXPECT_GT(systemd.questions(), once);
}

TEST_F(HostSystemd, where_there_is_no_systemd_its_sockets_are_looked_for_once_a_minute) {
  std::filesystem::create_directories(tree.at("root"));
  const auto it = part();
  EXPECT_EQ(pass_of(*it, clock).outcome.error, ENOENT);
  EXPECT_EQ(pass_of(*it, clock).outcome.error, ENOENT);
  FakeState state;
  state.units = {{"a.target"}};
  const FakeSystemd systemd(own_socket(), state);
  int passes = 0;
  while (passes < 100 && !pass_of(*it, clock).outcome.ok) ++passes;
  EXPECT_GE(passes, 11) << "every five seconds";
  EXPECT_LT(passes, 100);
  EXPECT_GT(systemd.questions(), 0);
}

TEST_F(HostSystemd, who_speaks_another_protocol_is_an_error) {
  tree.write("root/run/systemd/private", "a file");
  const auto it = part();
  (void)pass_of(*it, clock);
  const Told told = pass_of(*it, clock);
  EXPECT_EQ(told.outcome.error, ECONNREFUSED);
  EXPECT_THAT(std::string(told.outcome.what), testing::HasSubstr("run/systemd/private"));
}

}  // namespace
}  // namespace qd::observe::host
