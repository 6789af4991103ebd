#include "serve/prometheus/admin_api.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "base/temp_directory.h"
#include "store/metrics/store.h"
#include "store/state/database.h"

namespace qd::serve::prometheus {
namespace {

using connect::http::Reply;
using connect::http::Request;
using connect::http::Response;

constexpr model::TimestampMs kStart = 1'700'000'000'000;

class AdminApiTest : public testing::Test {
 protected:
  AdminApiTest() : database_(*store::state::Database::open(directory_ / "state.db")), tokens_(*database_) {
    store_ = *store::metrics::Store::open(files_, directory_ / "metrics", {}, base::Log::silent(), registry_);
    all_ = *tokens_.add("all", store::state::Scope::kAll, 1);
    send_ = *tokens_.add("send", store::state::Scope::kSend, 1);
    add_admin_routes(router_, *store_, [this](bool skip_head) -> base::Result<std::string> {
      skipped_.push_back(skip_head);
      if (fails_) return base::fail(base::ErrorCode::kUnavailable, "no room");
      return std::string("20260101T000000Z-0");
    });
    auto appender = store_->appender();
    for (const char* const job : {"a", "b"}) {
      const auto ref = *appender->series(model::LabelSet{{"__name__", "m"}, {"job", job}});
      for (int i = 0; i < 5; ++i) appender->append(ref, kStart + i * 1000, i);
    }
    EXPECT_TRUE(appender->commit());
  }

  using Params = std::vector<std::pair<std::string, std::string>>;
  Response ask(std::string_view call, const Params& params = {}, std::string method = "POST",
               const std::string& token = "all") {
    Request r;
    r.method = std::move(method);
    r.path = "/api/v1/admin/tsdb/" + std::string(call);
    r.host = "localhost:9090";
    r.peer_address = "127.0.0.1";
    r.peer_is_loopback = true;
    if (!token.empty()) r.headers.add("Authorization", "Bearer " + (token == "all" ? all_ : send_));
    for (const auto& [name, value] : params) r.query.push_back({name, value});
    std::promise<Response> answer;
    router_.handle(std::move(r), Reply::to([&](Response response) { answer.set_value(std::move(response)); }));
    return answer.get_future().get();
  }
  static std::string text(const Response& response) { return std::get<std::string>(response.body); }

  std::size_t samples(const std::string& job) {
    const std::vector<model::Matcher> matchers = {model::Matcher::equal("job", job)};
    const auto set = store_->select(matchers, model::kMinTimestampMs, model::kMaxTimestampMs, 10);
    std::size_t n = 0;
    store::metrics::Columns columns;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      EXPECT_TRUE((*set)->read(i, model::kMinTimestampMs, model::kMaxTimestampMs, columns));
      n += columns.size();
    }
    return n;
  }

  base::TempDirectory directory_;
  base::PosixFiles files_;
  base::Registry registry_;
  base::ThreadPool pool_{1, 10};
  std::unique_ptr<store::state::Database> database_;
  store::state::Tokens tokens_;
  std::string all_;
  std::string send_;
  ServeSettings settings_;
  Authenticator authenticator_{settings_, tokens_};
  Router router_{authenticator_, pool_, base::Log::silent(), registry_};
  std::unique_ptr<store::metrics::Store> store_;
  std::vector<bool> skipped_;
  bool fails_ = false;
};

TEST_F(AdminApiTest, deletes_what_is_named_between_the_times_given) {
  const auto response =
      ask("delete_series", {{"match[]", "m{job=\"a\"}"}, {"start", "1700000001"}, {"end", "2023-11-14T22:13:22Z"}});
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(text(response), "");
  EXPECT_EQ(samples("a"), 3U);
  EXPECT_EQ(samples("b"), 5U);
  EXPECT_EQ(ask("clean_tombstones", {}, "PUT").status, 204);
  EXPECT_EQ(samples("a"), 3U);
  // Without times all; of several selectors each.
  EXPECT_EQ(ask("delete_series", {{"match[]", "{job=\"a\"}"}, {"match[]", "{job=\"b\"}"}}, "PUT").status, 204);
  EXPECT_EQ(samples("a") + samples("b"), 0U);
}

TEST_F(AdminApiTest, refuses_what_it_cannot_understand) {
  const auto refused = [&](std::string_view call, const Params& params, std::string_view says) {
    const auto response = ask(call, params);
    EXPECT_EQ(response.status, 400) << says;
    EXPECT_NE(text(response).find(R"("errorType":"bad_data")"), std::string::npos) << text(response);
    EXPECT_NE(text(response).find(says), std::string::npos) << text(response);
  };
  refused("delete_series", {}, "no match[] parameter provided");
  refused("delete_series", {{"match[]", "m{"}}, "invalid parameter \\\"match[]\\\"");
  refused("delete_series", {{"match[]", "{job=\"\"}"}}, "at least one non-empty matcher");
  refused("delete_series", {{"match[]", "m"}, {"start", "soon"}}, "invalid parameter \\\"start\\\"");
  refused("snapshot", {{"skip_head", "perhaps"}}, "invalid parameter \\\"skip_head\\\"");
  EXPECT_EQ(samples("a") + samples("b"), 10U);
  EXPECT_TRUE(skipped_.empty());
  EXPECT_EQ(ask("delete_series", {{"match[]", "m"}}, "GET").status, 405);
}

TEST_F(AdminApiTest, snapshots_and_says_what_they_are_called) {
  const auto response = ask("snapshot", {{"skip_head", "true"}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text(response), R"({"status":"success","data":{"name":"20260101T000000Z-0"}})");
  EXPECT_EQ(ask("snapshot").status, 200);
  EXPECT_EQ(ask("snapshot", {{"skip_head", "F"}}).status, 200);
  EXPECT_EQ(skipped_, (std::vector<bool>{true, false, false}));
  fails_ = true;
  EXPECT_EQ(ask("snapshot").status, 503);
}

TEST_F(AdminApiTest, is_for_those_who_may_act) {
  for (const char* const call : {"delete_series", "clean_tombstones", "snapshot"}) {
    EXPECT_EQ(ask(call, {{"match[]", "m"}}, "POST", "").status, 403) << call << " as loopback";
    EXPECT_EQ(ask(call, {{"match[]", "m"}}, "POST", "send").status, 403) << call << " with a token that may only send";
  }
  EXPECT_EQ(samples("a") + samples("b"), 10U);
  EXPECT_TRUE(skipped_.empty());
}

}  // namespace
}  // namespace qd::serve::prometheus
