#include "ship/remote_write/post.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "connect/http/http_test_support.h"

namespace qd::ship::remote_write {
namespace {

using connect::http::Reply;
using connect::http::Request;
using connect::http::Response;
using connect::http::testing::TestServer;

class PostTest : public testing::Test {
 protected:
  Response answer_ = {.status = 204};
  base::Mutex mutex_;
  std::vector<Request> seen_ QD_GUARDED_BY(mutex_);
  TestServer server_{[this](Request request, Reply reply) {
    {
      base::MutexLock lock(mutex_);
      seen_.push_back(std::move(request));
    }
    reply.send(answer_);
  }};
  std::unique_ptr<connect::http::Client> client_ = *connect::http::Client::create(server_.loop, {}, server_.registry);
  ForwardSettings settings_{.url = server_.url("")};

  base::Result<Answer> post(std::string body) {
    std::promise<base::Result<Answer>> promise;
    post_by(*client_, [this] { return settings_; })(
        std::move(body), [&](base::Result<Answer> answer) { promise.set_value(std::move(answer)); });
    return promise.get_future().get();
  }
  Request last() {
    base::MutexLock lock(mutex_);
    return seen_.back();
  }
  std::size_t count() {
    base::MutexLock lock(mutex_);
    return seen_.size();
  }
};

TEST_F(PostTest, is_a_request_of_remote_write_1_0) {
  const auto answer = post("packed");
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->status, 204);
  EXPECT_FALSE(answer->written);
  const auto request = last();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/api/v1/write");
  EXPECT_EQ(request.body, "packed");
  EXPECT_EQ(request.headers.get("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(request.headers.get("Content-Encoding"), "snappy");
  EXPECT_EQ(request.headers.get("X-Prometheus-Remote-Write-Version"), "0.1.0");
  EXPECT_FALSE(request.headers.has("Authorization"));
}

TEST_F(PostTest, carries_the_credentials_of_the_moment) {
  settings_.token = "first";
  ASSERT_TRUE(post(""));
  EXPECT_EQ(last().headers.get("Authorization"), "Bearer first");
  settings_.token = "second";
  ASSERT_TRUE(post(""));
  EXPECT_EQ(last().headers.get("Authorization"), "Bearer second");
  settings_.token.clear();
  settings_.user = "me";
  settings_.password = "pass:word";
  ASSERT_TRUE(post(""));
  EXPECT_EQ(last().headers.get("Authorization"), "Basic bWU6cGFzczp3b3Jk");
}

TEST_F(PostTest, tells_what_the_receiver_said) {
  answer_ = Response::text(400, "3 of 5\n");
  answer_.headers.add("X-Prometheus-Remote-Write-Samples-Written", "2");
  answer_.headers.add("Retry-After", "7");
  const auto answer = post("x");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400);
  EXPECT_EQ(answer->text, "3 of 5\n");
  EXPECT_EQ(answer->retry_after, "7");
  ASSERT_TRUE(answer->written);
  EXPECT_EQ(answer->written->samples, 2U);
  EXPECT_EQ(answer->written->all(), 2U) << "what it does not tell of is none";
  answer_.headers.set("X-Prometheus-Remote-Write-Samples-Written", "many");
  EXPECT_FALSE(post("x")->written);
}

TEST_F(PostTest, tells_each_kind_that_the_receiver_stored) {
  answer_.headers.add("X-Prometheus-Remote-Write-Histograms-Written", "3");
  answer_.headers.add("X-Prometheus-Remote-Write-Exemplars-Written", "4");
  const auto answer = post("x");
  ASSERT_TRUE(answer && answer->written);
  EXPECT_EQ(answer->written->samples, 0U);
  EXPECT_EQ(answer->written->histograms, 3U);
  EXPECT_EQ(answer->written->exemplars, 4U);
  answer_.headers.set("X-Prometheus-Remote-Write-Exemplars-Written", "-1");
  EXPECT_FALSE(post("x")->written);
}

TEST_F(PostTest, follows_no_redirect) {
  answer_ = Response{.status = 302};
  answer_.headers.add("Location", server_.url("/elsewhere"));
  settings_.token = "secret";
  const auto answer = post("x");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 302);
  EXPECT_THAT(answer->text, testing::HasSubstr(server_.url("/elsewhere")));
  EXPECT_EQ(count(), 1U);
}

TEST_F(PostTest, a_receiver_that_is_not_there_is_an_error) {
  settings_.url = "http://127.0.0.1:1";
  const auto answer = post("x");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), base::ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace qd::ship::remote_write
