#include "ship/objects/uploader.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <vector>

#include "base/temp_directory.h"
#include "ship/objects/shipper.h"
#include "store/metrics/store.h"
#include "store/prometheus/directory.h"

namespace qd::ship::objects {
namespace {

using base::ErrorCode;
using model::TimestampMs;

constexpr TimestampMs kStart = 1'699'999'200'000;
constexpr std::int64_t kHour = 3'600'000;

// A bucket in memory; `fault` may answer in its place.
struct Bucket {
  std::map<std::string, std::string> objects;
  std::map<std::string, std::map<int, std::string>> uploads;
  std::vector<std::string> log;
  std::vector<std::int64_t> waits;
  std::function<std::optional<base::Result<Answer>>(const Outgoing&)> fault;

  Surroundings surroundings() {
    return {.send = [this](Outgoing request) { return answer(std::move(request)); },
            .now_ms = [] { return kStart; },
            .wait_ms =
                [this](std::int64_t ms) {
                  if (ms > 0) waits.push_back(ms);
                  return true;
                }};
  }

  base::Result<Answer> answer(Outgoing request) {
    EXPECT_TRUE(request.headers.at("authorization").starts_with("AWS4-HMAC-SHA256 Credential=key/"));
    EXPECT_EQ(request.headers.at("x-amz-content-sha256"), sha256_hex(request.body));
    const std::string target = request.url.substr(std::string("https://s3.test/bucket/").size());
    const std::string key = target.substr(0, target.find('?'));
    const std::string query = target.size() > key.size() ? target.substr(key.size() + 1) : "";
    log.push_back(request.method + " " + target);
    if (fault) {
      if (auto instead = fault(request)) return *std::move(instead);
    }
    if (request.method == "HEAD") {
      if (!objects.contains(key)) return Answer{.status = 404};
      return Answer{.status = 200, .content_length = objects[key].size()};
    }
    if (request.method == "DELETE") {
      uploads.erase(key);
      return Answer{.status = 204};
    }
    if (query == "uploads=") {
      uploads[key] = {};
      return Answer{.status = 200, .body = "<R><UploadId>u 1</UploadId></R>"};
    }
    if (query.starts_with("partNumber=")) {
      uploads[key][std::stoi(query.substr(11))] = request.body;
      return Answer{.status = 200, .etag = "\"part\""};
    }
    if (request.method == "POST") {
      for (const auto& [number, part] : uploads[key]) objects[key] += part;
      uploads.erase(key);
      return Answer{.status = 200, .body = "<Result/>"};
    }
    objects[key] = request.body;
    return Answer{.status = 200};
  }
};

ObjectSettings settings() {
  return {.endpoint = "https://s3.test",
          .bucket = "bucket",
          .access_key = "key",
          .secret_key = "secret",
          .part_bytes = 1000};
}

class UploaderTest : public ::testing::Test {
 protected:
  std::filesystem::path file(std::size_t bytes) {
    std::string content;
    for (std::size_t i = 0; i < bytes; ++i) content.push_back(static_cast<char>('a' + i % 23));
    std::ofstream out(dir_ / "file", std::ios::binary);
    out << content;
    content_ = content;
    return dir_ / "file";
  }

  base::PosixFiles files_;
  base::TempDirectory dir_;
  std::string content_;
  Bucket bucket_;
};

TEST_F(UploaderTest, a_small_file_goes_whole_and_a_large_one_in_parts) {
  Uploader uploader(files_, settings(), bucket_.surroundings());
  ASSERT_TRUE(uploader.put(file(1000), "a/small"));
  EXPECT_EQ(bucket_.log, std::vector<std::string>{"PUT a/small"});
  EXPECT_EQ(bucket_.objects["a/small"], content_);
  ASSERT_TRUE(uploader.put(file(2500), "a/large"));
  EXPECT_EQ(bucket_.objects["a/large"], content_);
  EXPECT_EQ(bucket_.log.size(), 6U);
  EXPECT_EQ(bucket_.log[3], "PUT a/large?partNumber=2&uploadId=u%201");
  EXPECT_TRUE(bucket_.uploads.empty());
  EXPECT_TRUE(uploader.check("a/large", 2500));
  EXPECT_EQ(uploader.check("a/large", 2501).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(uploader.check("a/none", 1).error().code(), ErrorCode::kNotFound);
}

TEST_F(UploaderTest, what_may_pass_is_tried_again_and_longer_apart) {
  int left = 3;
  bucket_.fault = [&](const Outgoing&) -> std::optional<base::Result<Answer>> {
    if (left-- <= 0) return std::nullopt;
    if (left == 1) return base::fail(ErrorCode::kTimeout, "slow");
    return Answer{.status = 503, .body = "<Error><Code>SlowDown</Code></Error>"};
  };
  Uploader uploader(files_, settings(), bucket_.surroundings());
  ASSERT_TRUE(uploader.put(file(10), "x"));
  EXPECT_EQ(bucket_.waits, (std::vector<std::int64_t>{500, 1000, 2000}));
  EXPECT_EQ(bucket_.objects["x"], content_);
}

TEST_F(UploaderTest, what_is_refused_is_told_at_once) {
  bucket_.fault = [](const Outgoing&) -> std::optional<base::Result<Answer>> {
    return Answer{.status = 403,
                  .body = "<Error><Code>SignatureDoesNotMatch</Code><Message>Look at your key.</Message></Error>"};
  };
  Uploader uploader(files_, settings(), bucket_.surroundings());
  const auto put = uploader.put(file(10), "x");
  EXPECT_EQ(put.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(put.error().message(),
            "PUT https://s3.test/bucket/x: the store answered 403 SignatureDoesNotMatch: Look at your key.");
  EXPECT_EQ(bucket_.log.size(), 1U);
}

TEST_F(UploaderTest, parts_of_an_upload_that_fails_are_removed) {
  bucket_.fault = [](const Outgoing& request) -> std::optional<base::Result<Answer>> {
    if (request.url.find("partNumber=2") == std::string::npos) return std::nullopt;
    return Answer{.status = 400};
  };
  Uploader uploader(files_, settings(), bucket_.surroundings());
  EXPECT_FALSE(uploader.put(file(2500), "x"));
  EXPECT_EQ(bucket_.log.back(), "DELETE x?uploadId=u%201");
  EXPECT_TRUE(bucket_.uploads.empty());
  EXPECT_FALSE(bucket_.objects.contains("x"));
}

TEST_F(UploaderTest, an_error_behind_a_success_is_one) {
  int bad = 0;
  bucket_.fault = [&](const Outgoing& request) -> std::optional<base::Result<Answer>> {
    if (request.method != "POST" || request.url.find("uploadId=") == std::string::npos || bad++ > 0)
      return std::nullopt;
    return Answer{.status = 200, .body = "<?xml?><Error><Code>InternalError</Code></Error>"};
  };
  Uploader uploader(files_, settings(), bucket_.surroundings());
  ASSERT_TRUE(uploader.put(file(2500), "x"));
  EXPECT_EQ(bad, 2);
  EXPECT_EQ(bucket_.objects["x"], content_);
}

class ShipperTest : public UploaderTest {
 protected:
  ShipperTest() {
    store_ = *store::metrics::Store::open(files_, dir_ / "metrics", {}, base::Log::silent(), registry_);
    for (int i = 0; i < 5 * 60; ++i) {
      const auto appender = store_->appender();
      const auto ref = appender->series(model::LabelSet{{"__name__", "m"}});
      appender->append(*ref, kStart + i * 60'000, i);
      EXPECT_TRUE(appender->commit());
    }
  }
  std::unique_ptr<Shipper> open() {
    auto shipper = Shipper::open(files_, *store_, dir_ / "objects", settings(), {{"host", "deck"}}, kStart - kHour,
                                 bucket_.surroundings(), base::Log::silent(), registry_);
    EXPECT_TRUE(shipper) << shipper.error().message();
    return std::move(*shipper);
  }
  std::vector<std::string> metas() const {
    std::vector<std::string> keys;
    for (const auto& [key, content] : bucket_.objects) {
      if (key.ends_with("/meta.json")) keys.push_back(key);
    }
    return keys;
  }

  base::Registry registry_;
  std::unique_ptr<store::metrics::Store> store_;
};

TEST_F(ShipperTest, finished_stretches_are_shipped_once_with_their_labels) {
  auto shipper = open();
  ASSERT_TRUE(shipper->run(kStart + 2 * kHour));
  EXPECT_TRUE(metas().empty());
  ASSERT_TRUE(shipper->run(kStart + 5 * kHour));
  ASSERT_EQ(metas().size(), 2U);
  const auto meta = store::prometheus::BlockMeta::parse(bucket_.objects[metas()[0]], "meta.json");
  ASSERT_TRUE(meta);
  EXPECT_EQ(meta->min_ms, kStart);
  EXPECT_EQ(meta->samples, 120U);
  EXPECT_EQ(meta->external_labels, (std::map<std::string, std::string>{{"host", "deck"}}));
  ASSERT_EQ(meta->files.size(), 2U);
  for (const auto& told : meta->files) EXPECT_EQ(bucket_.objects[meta->ulid + "/" + told.path].size(), told.bytes);
  // Last of all but the look at it.
  EXPECT_TRUE(bucket_.log[bucket_.log.size() - 2].ends_with("/meta.json"));

  const std::size_t before = bucket_.log.size();
  ASSERT_TRUE(open()->run(kStart + 5 * kHour));
  EXPECT_EQ(bucket_.log.size(), before);
}

TEST_F(ShipperTest, what_is_in_the_bucket_reads_as_a_block) {
  ASSERT_TRUE(open()->run(kStart + 8 * kHour));
  for (const auto& [key, content] : bucket_.objects) {
    const auto path = dir_ / "down" / key;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out << content;
  }
  const auto directory =
      store::prometheus::Directory::open(files_, dir_ / "down", [](const auto& warning) { FAIL() << warning.what; });
  ASSERT_TRUE(directory);
  const auto set = (*directory)->select({}, 0, model::kMaxTimestampMs, 10);
  ASSERT_EQ((*set)->size(), 1U);
  store::metrics::Columns columns;
  ASSERT_TRUE((*set)->read(0, 0, model::kMaxTimestampMs, columns));
  EXPECT_EQ(columns.size(), 300U);
}

TEST_F(ShipperTest, a_failure_leaves_no_block_half_there_and_the_next_run_goes_on) {
  bool away = true;
  bucket_.fault = [&](const Outgoing& request) -> std::optional<base::Result<Answer>> {
    if (!away || request.url.find("/index") == std::string::npos) return std::nullopt;
    return Answer{.status = 503};
  };
  auto shipper = open();
  EXPECT_FALSE(shipper->run(kStart + 8 * kHour));
  EXPECT_TRUE(metas().empty());
  EXPECT_EQ(bucket_.objects.size(), 1U);  // of chunks
  const std::string begun = bucket_.objects.begin()->first;
  away = false;
  shipper = open();
  ASSERT_TRUE(shipper->run(kStart + 8 * kHour));
  EXPECT_EQ(metas().size(), 3U);
  EXPECT_EQ(bucket_.objects.begin()->first, begun);  // the same name again
  EXPECT_EQ(bucket_.objects.size(), 9U);
}

TEST_F(ShipperTest, without_external_labels_it_does_not_start) {
  const auto shipper = Shipper::open(files_, *store_, dir_ / "objects", settings(), {}, 0, bucket_.surroundings(),
                                     base::Log::silent(), registry_);
  EXPECT_EQ(shipper.error().code(), ErrorCode::kInvalid);
}

TEST(ObjectSettingsTest, what_cannot_be_is_refused) {
  EXPECT_TRUE(check(ObjectSettings{}));
  EXPECT_TRUE(check(settings()));
  const auto with = [](auto change) {
    ObjectSettings changed = settings();
    change(changed);
    return check(changed);
  };
  EXPECT_FALSE(with([](auto& s) { s.endpoint = "s3.test"; }));
  EXPECT_FALSE(with([](auto& s) { s.endpoint = "https://s3.test/bucket"; }));
  EXPECT_FALSE(with([](auto& s) { s.endpoint = "http://s3.test"; }));
  EXPECT_TRUE(with([](auto& s) { s.endpoint = "http://127.0.0.1:9000"; }));
  EXPECT_FALSE(with([](auto& s) { s.bucket = ""; }));
  EXPECT_FALSE(with([](auto& s) { s.bucket = "a/b"; }));
  EXPECT_FALSE(with([](auto& s) { s.secret_key = ""; }));
  EXPECT_FALSE(with([](auto& s) { s.prefix = "/x"; }));
}

}  // namespace
}  // namespace qd::ship::objects
