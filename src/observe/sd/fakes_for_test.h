// Surroundings without a network, on a clock that stands. For tests of this room.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/log.h"
#include "base/scheduler.h"
#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

struct FakeSurroundings {
  // Answers by the path of the URL, without its query; 404 where there is none. Work is done at once.
  Surroundings get() {
    return {.scheduler = scheduler,
            .submit = [](const std::function<void()>& task) -> base::Status {
              task();
              return {};
            },
            .fetch = [this](const connect::http::HttpConfig& config, connect::http::ClientRequest request,
                            const connect::http::Client::Then& then) -> std::function<void()> {
              if (const auto applied = connect::http::apply(config, request); !applied) {
                then(base::fail(applied.error()));
                return {};
              }
              requests.push_back(request);
              if (error) {
                then(base::fail(*error));
                return {};
              }
              const std::size_t host = request.url.find("://") + 3;
              const std::size_t path = request.url.find('/', host);
              const auto answer = answers.find(request.url.substr(path, request.url.find('?') - path));
              connect::http::ClientResponse response;
              response.status = answer == answers.end() ? 404 : 200;
              response.body = answer == answers.end() ? "{\"message\":\"no such page\"}" : answer->second;
              response.headers.add("Content-Type", content_type);
              then(std::move(response));
              return {};
            },
            .log = base::Log::silent(),
            .registry = registry,
            .user_agent = "test"};
  }

  base::ManualClock clock;
  base::ManualScheduler scheduler{clock};
  base::Registry registry;
  std::map<std::string, std::string> answers;
  std::string content_type = "application/json";
  std::optional<base::Error> error;
  std::vector<connect::http::ClientRequest> requests;
};

// A target a line, sorted by name of labels, those of its group with it.
inline std::string text_of(const TargetGroups& groups) {
  std::string out;
  for (const TargetGroup& group : groups) {
    for (const model::LabelSet& target : group.targets) {
      model::LabelBuilder labels(group.labels);
      for (const model::Label& label : target) labels.set(label.name, label.value);
      out += labels.build().to_string() + "\n";
    }
  }
  return out;
}

}  // namespace qd::observe::sd
