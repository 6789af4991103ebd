// An engine that answers what the test says, in the order in which it was asked, on a scheduler moved by hand.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/scheduler.h"
#include "base/temp_directory.h"
#include "connect/docker/client.h"
#include "connect/http/message.h"
#include "observe/discovery/container_watch.h"

namespace qd::observe::discovery {

// "a" makes the id "aaaa…".
inline std::string id_of(char digit) {
  return std::string(64, digit);
}

class FakeEngine {
 public:
  using Response = connect::http::ClientResponse;
  struct One {
    std::string name = "one";
    std::string image = "bb:1";
    std::string state = "running";
    std::int64_t pid = 4711;
    std::string more;  // of inspection, behind a comma: `,"RestartCount":1`
  };

  explicit FakeEngine(base::ManualScheduler& scheduler) : scheduler_(scheduler) { std::ofstream(socket()) << ""; }

  std::string socket() const { return (directory_ / "docker.sock").native(); }
  void remove_socket() { std::filesystem::remove(socket()); }
  void make_socket() { std::ofstream(socket()) << ""; }

  connect::docker::Fetch fetch() {
    return [this](connect::http::ClientRequest request, connect::http::Client::Then then) -> connect::docker::Cancel {
      asked.push_back(request.url.substr(std::string_view("http://docker").size()));
      if (refusal) {
        scheduler_.post([then, error = *refusal] { then(base::fail(error)); });
        return [] {};
      }
      if (request.on_body) return open_stream(std::move(request), std::move(then));
      // Answered as things are when it is asked, heard of when the test lets time pass.
      scheduler_.after_ms(delay_ms, [this, then, response = answer(asked.back())] {
        ++answered;
        then(response);
      });
      return [] {};
    };
  }

  void event(std::string_view action, const std::string& id) {
    if (stream_) {
      stream_->first(
          fmt::format("{{\"Type\":\"container\",\"Action\":\"{}\",\"Actor\":{{\"ID\":\"{}\"}}}}\n", action, id));
    }
  }
  void end_stream() {
    if (auto stream = std::exchange(stream_, std::nullopt)) stream->second(Response{.status = 200});
  }
  bool streams() const { return stream_.has_value(); }
  std::size_t count(std::string_view part) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(asked, [&](const std::string& path) { return path.find(part) != std::string::npos; }));
  }

  std::map<std::string, One> containers;
  std::optional<base::Error> refusal;
  int inspect_status = 200;
  std::int64_t delay_ms = 0;
  std::vector<std::string> asked;
  std::size_t answered = 0;
  std::size_t cancelled = 0;

 private:
  using Stream = std::pair<std::function<bool(std::string_view)>, connect::http::Client::Then>;

  connect::docker::Cancel open_stream(connect::http::ClientRequest request, connect::http::Client::Then then) {
    stream_.emplace(std::move(request.on_body), std::move(then));
    return [this] {
      ++cancelled;
      stream_.reset();
    };
  }

  Response answer(const std::string& path) const {
    Response response{.status = 200};
    if (path == "/_ping") {
      response.headers.add("Api-Version", "1.41");
    } else if (path.find("/containers/json") != std::string::npos) {
      response.body = list();
    } else if (path.find("/containers/") != std::string::npos) {
      const auto found = containers.find(path.substr(path.find("/containers/") + 12, 64));
      response.status = found == containers.end() ? 404 : inspect_status;
      if (response.status == 200) response.body = details(found->first, found->second);
    }
    return response;
  }

  std::string list() const {
    std::string body = "[";
    for (const auto& [id, one] : containers) {
      if (body.size() > 1) body += ',';
      body += fmt::format(R"({{"Id":"{}","Names":["/{}"],"Image":"{}","State":"{}","Status":"Up 1 second"}})", id,
                          one.name, one.image, one.state);
    }
    return body + "]";
  }

  static std::string details(const std::string& id, const One& one) {
    return fmt::format(R"({{"Id":"{}","Name":"/{}","Config":{{"Image":"{}"}},"State":{{"Status":"{}","Pid":{}}}{}}})",
                       id, one.name, one.image, one.state, one.pid, one.more);
  }

  base::ManualScheduler& scheduler_;
  base::TempDirectory directory_;
  std::optional<Stream> stream_;
};

// Runs what is submitted when the test lets time pass.
inline connect::docker::Submit submit_to(base::ManualScheduler& scheduler) {
  return [&scheduler](std::function<void()> task) -> base::Status {
    scheduler.post(std::move(task));
    return {};
  };
}

}  // namespace qd::observe::discovery
