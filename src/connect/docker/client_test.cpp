#include "connect/docker/client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <mutex>

#include "base/temp_directory.h"
#include "base/thread_pool.h"
#include "connect/http/http_test_support.h"

namespace qd::connect::docker {
namespace {

using base::ErrorCode;
using http::Reply;
using http::Request;
using http::Response;
using http::testing::eventually;

const std::string kId(64, 'a');

Response pong(std::string version) {
  auto response = Response::text(200, "OK");
  if (!version.empty()) response.headers.add("Api-Version", std::move(version));
  return response;
}

// An engine on a Unix socket, and what asks it.
struct Engine {
  explicit Engine(http::Handler handler)
      : server(
            [this, handler = std::move(handler)](Request request, Reply reply) {
              {
                const std::lock_guard lock(mutex);
                asked.push_back(request.target);
              }
              handler(std::move(request), std::move(reply));
            },
            {.unix_socket_path = socket}),
        http(std::move(*http::Client::create(server.loop, {}, server.registry))) {}

  base::Result<Client> connect() {
    std::promise<base::Result<Client>> result;
    Client::connect(
        fetch_by(*http), [this](std::function<void()> task) { return pool.submit(std::move(task)); }, socket,
        [&](base::Result<Client> client) { result.set_value(std::move(client)); });
    return result.get_future().get();
  }
  Client connected() {
    auto client = connect();
    QD_ASSERT(client.has_value(), client.error().message());
    return std::move(*client);
  }
  base::Result<Details> inspect(const Client& client) {
    std::promise<base::Result<Details>> result;
    client.inspect(kId, [&](auto details) { result.set_value(std::move(details)); });
    return result.get_future().get();
  }
  base::Result<std::vector<Listed>> list(const Client& client) {
    std::promise<base::Result<std::vector<Listed>>> result;
    client.list([&](auto containers) { result.set_value(std::move(containers)); });
    return result.get_future().get();
  }

  std::vector<std::string> targets() {
    const std::lock_guard lock(mutex);
    return asked;
  }

  base::TempDirectory dir;
  std::string socket = dir / "engine.sock";
  std::mutex mutex;
  std::vector<std::string> asked;
  base::ThreadPool pool{1, 100};
  http::testing::TestServer server;
  std::unique_ptr<http::Client> http;
};

TEST(Engine, is_asked_in_the_newest_version_that_both_know) {
  const std::map<std::string, std::string> agreed = {{"1.41", "1.41"}, {"1.24", "1.24"}, {"1.99", "1.51"}};
  for (const auto& [theirs, used] : agreed) {
    Engine engine([&](const Request& request, Reply reply) {
      reply.send(request.path == "/_ping" ? pong(theirs) : Response::json(200, "[]"));
    });
    const auto client = engine.connected();
    EXPECT_EQ(client.api_version(), used);
    EXPECT_TRUE(engine.list(client));
    EXPECT_EQ(engine.targets().back(), fmt::format("/v{}/containers/json?all=true", used));
  }
  for (const std::string theirs : {"1.23", "2.1", "1.", "1.x", "1.-5", "1.99999999999"}) {
    Engine engine([&](const Request&, Reply reply) { reply.send(pong(theirs)); });
    EXPECT_FALSE(engine.connect()) << theirs;
  }
}

TEST(Engine, that_does_not_say_its_version_at_once_is_asked_for_it) {
  for (const int status : {200, 403, 404}) {
    Engine engine([&](const Request& request, Reply reply) {
      if (request.path == "/version") return reply.send(Response::json(200, R"({"ApiVersion":"1.30"})"));
      reply.send(Response::text(status, "x"));
    });
    EXPECT_EQ(engine.connected().api_version(), "1.30");
  }
}

TEST(Engine, that_refuses_or_answers_nonsense_is_an_error_with_its_reason) {
  Engine engine([&](const Request& request, Reply reply) {
    if (request.path == "/_ping") return reply.send(pong("1.41"));
    if (request.path.ends_with("/containers/json"))
      return reply.send(Response::json(403, R"({"message":"blocked by policy"})"));
    reply.send(Response::json(404, R"({"message":"No such container: x"})"));
  });
  const auto client = engine.connected();
  const auto list = engine.list(client);
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code(), ErrorCode::kPermission);
  EXPECT_NE(list.error().message().find("blocked by policy"), std::string::npos) << list.error().message();
  EXPECT_NE(list.error().message().find(engine.socket), std::string::npos) << list.error().message();
  EXPECT_EQ(engine.inspect(client).error().code(), ErrorCode::kNotFound);

  Engine babbles([&](const Request& request, Reply reply) {
    if (request.path == "/_ping") return reply.send(pong("1.41"));
    reply.send(Response::json(200, "{\"Id\":\"secret"));
  });
  const auto other = babbles.connected();
  EXPECT_EQ(babbles.list(other).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(babbles.inspect(other).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(babbles.inspect(other).error().message().find("secret"), std::string::npos);
}

TEST(Engine, answers_are_bounded) {
  Engine engine([&](const Request& request, Reply reply) {
    if (request.path == "/_ping") return reply.send(pong("1.41"));
    reply.send({.body = [](std::string& out) {
      out.assign(65536, ' ');
      return true;
    }});
  });
  const auto client = engine.connected();
  EXPECT_EQ(engine.inspect(client).error().code(), ErrorCode::kLimit);
}

// Sends pieces as the test gives them.
struct Feed {
  std::mutex mutex;
  std::string waiting;
  bool over = false;

  void send(std::string_view text) {
    const std::lock_guard lock(mutex);
    waiting += text;
  }
  void end() {
    const std::lock_guard lock(mutex);
    over = true;
  }
  bool next(std::string& out) {
    const std::lock_guard lock(mutex);
    out = std::exchange(waiting, {});
    return !over;
  }
};

struct Listener {
  std::mutex mutex;
  std::string seen;
  std::promise<base::Error> end;
  Cancel cancel;

  void listen(const Client& client) {
    cancel = client.events(
        1700, [this](const Event& event) { note(event.action + " "); },
        [this](base::Error error) { end.set_value(std::move(error)); });
  }
  void note(const std::string& text) {
    const std::lock_guard lock(mutex);
    seen += text;
  }
  std::string text() {
    const std::lock_guard lock(mutex);
    return seen;
  }
};

std::string event(std::string_view action) {
  return fmt::format(R"({{"Type":"container","Action":"{}","Actor":{{"ID":"{}"}}}})", action, kId);
}

TEST(Events, come_as_they_happen_however_they_are_cut) {
  Feed feed;
  Engine engine([&](const Request& request, Reply reply) {
    if (request.path == "/_ping") return reply.send(pong("1.41"));
    reply.send({.body = [&](std::string& out) { return feed.next(out); }});
  });
  Listener listener;
  listener.listen(engine.connected());
  const auto start = event("start");
  feed.send(start.substr(0, 10));
  EXPECT_TRUE(eventually([&] { return engine.targets().size() == 2; }));
  feed.send(start.substr(10) + "\n" + event("die") + "\r\n\n" + R"({"Type":"image","Action":"pull"})" + "\n" +
            event("health_status: healthy") + "\n");
  EXPECT_TRUE(eventually([&] { return listener.text() == "start die health_status "; })) << listener.text();
  EXPECT_EQ(engine.targets().back(), "/v1.41/events?since=1700&filters=%7B%22type%22%3A%5B%22container%22%5D%7D");
  feed.end();
  EXPECT_EQ(listener.end.get_future().get().code(), ErrorCode::kUnavailable);
}

TEST(Events, that_are_no_events_or_too_long_end_the_stream) {
  for (const auto& [sent, code] : {std::pair(std::string("{\"secret\n"), ErrorCode::kCorrupt),
                                   std::pair(std::string(2 << 20, 'x'), ErrorCode::kLimit)}) {
    Feed feed;
    Engine engine([&](const Request& request, Reply reply) {
      if (request.path == "/_ping") return reply.send(pong("1.41"));
      reply.send({.body = [&](std::string& out) { return feed.next(out); }});
    });
    Listener listener;
    listener.listen(engine.connected());
    feed.send(sent);
    const auto error = listener.end.get_future().get();
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_EQ(error.message().find("secret"), std::string::npos);
  }
}

TEST(Events, can_be_cancelled) {
  Feed feed;
  Engine engine([&](const Request& request, Reply reply) {
    if (request.path == "/_ping") return reply.send(pong("1.41"));
    reply.send({.body = [&](std::string& out) { return feed.next(out); }});
  });
  Listener listener;
  listener.listen(engine.connected());
  listener.cancel();
  EXPECT_EQ(listener.end.get_future().get().code(), ErrorCode::kCancelled);
}

TEST(Socket, without_permission_is_an_error_that_names_it_and_the_cure) {
  const Fetch refused = [](const http::ClientRequest& request, const http::Client::Then& then) -> Cancel {
    then(base::fail(ErrorCode::kPermission, "this process may not write to the socket " + request.unix_socket_path));
    return [] {};
  };
  int calls = 0;
  Client::connect(
      refused,
      [](const std::function<void()>& task) -> base::Status {
        task();
        return {};
      },
      "/var/run/docker.sock",
      [&](const base::Result<Client>& client) {
        ++calls;
        ASSERT_FALSE(client);
        EXPECT_EQ(client.error().code(), ErrorCode::kPermission);
        for (const char* text : {"/var/run/docker.sock", "usermod -aG docker", "SupplementaryGroups=docker", "root"})
          EXPECT_NE(client.error().message().find(text), std::string::npos) << client.error().message();
      });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace qd::connect::docker
