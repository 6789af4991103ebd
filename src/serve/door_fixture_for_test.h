// A store behind a router, for tests of the doors that data comes in by.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "base/faulty_files.h"
#include "base/temp_directory.h"
#include "base/thread_pool.h"
#include "serve/router.h"
#include "store/metrics/store.h"
#include "store/state/database.h"

namespace qd::serve {

class DoorTest : public testing::Test {
 protected:
  static constexpr model::TimestampMs kStart = 1'700'000'000'000;

  DoorTest() : database_(*store::state::Database::open(directory_ / "state.db")), tokens_(*database_) {
    store_ = *store::metrics::Store::open(files_, directory_ / "metrics", {}, base::Log::silent(), registry_);
  }

  static connect::http::Request post(std::string path, std::string body) {
    connect::http::Request r;
    r.method = "POST";
    r.path = std::move(path);
    r.host = "localhost:9090";
    r.peer_address = "127.0.0.1";
    r.peer_is_loopback = true;
    r.body = std::move(body);
    return r;
  }
  connect::http::Response ask(connect::http::Request r) {
    std::promise<connect::http::Response> answer;
    router_.handle(std::move(r), connect::http::Reply::to(
                                     [&](connect::http::Response response) { answer.set_value(std::move(response)); }));
    return answer.get_future().get();
  }
  static std::string text(const connect::http::Response& response) { return std::get<std::string>(response.body); }

  // `labels value@time`, in order of labels.
  std::vector<std::string> stored() {
    const std::vector<model::Matcher> all = {*model::Matcher::create(model::Matcher::Kind::kNotEqual, "__name__", "")};
    const auto set = *store_->select(all, 0, model::kMaxTimestampMs, 1'000);
    std::vector<std::string> lines;
    store::metrics::Columns columns;
    for (std::size_t i = 0; i < set->size(); ++i) {
      EXPECT_TRUE(set->read(i, 0, model::kMaxTimestampMs, columns));
      for (std::size_t k = 0; k < columns.size(); ++k)
        lines.push_back(set->labels(i).to_string() + " " + std::to_string(columns.values[k]).substr(0, 4) + "@" +
                        std::to_string(columns.times[k] - kStart));
    }
    return lines;
  }
  double counted(std::string_view name, std::string_view label = "") {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name && (label.empty() || sample.labels.front().second == label)) return sample.value;
    return -1;
  }

  base::TempDirectory directory_;
  base::PosixFiles posix_;
  base::FaultyFiles files_{posix_};
  base::Registry registry_;
  base::ManualClock clock_{kStart};
  base::ThreadPool pool_{2, 10};
  std::unique_ptr<store::state::Database> database_;
  store::state::Tokens tokens_;
  ServeSettings settings_;
  Authenticator authenticator_{settings_, tokens_};
  Router router_{authenticator_, pool_, base::Log::silent(), registry_};
  std::unique_ptr<store::metrics::Store> store_;
};

}  // namespace qd::serve
