#include "ship/remote_write/batch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"

namespace qd::ship::remote_write {
namespace {

namespace wire = model::remote_write;

std::shared_ptr<const std::string> labels(int i, std::size_t bytes = 10) {
  return std::make_shared<const std::string>(wire::encode_labels(
      model::LabelSet{{"__name__", "m"}, {"i", fmt::format("{:05}", i)}, {"padding", std::string(bytes, 'x')}}));
}

class Read final : public wire::EncodedSink {
 public:
  explicit Read(const std::string& request) : message(*wire::unpack(request, 64 << 20)) {
    EXPECT_TRUE(wire::read_encoded(message, *this));
  }
  void sample(std::string_view encoded_labels, const model::Sample& sample) override {
    samples.emplace_back(std::string(encoded_labels), sample.time_ms);
  }
  std::string message;
  std::vector<std::pair<std::string, model::TimestampMs>> samples;
};

// The queued requests that one commit makes.
std::vector<QueuedRequest> packed(const std::vector<LabelledSample>& samples) {
  std::vector<QueuedRequest> requests;
  EXPECT_TRUE(pack_samples(samples, [&](std::uint32_t count, std::string_view request) -> base::Status {
    requests.push_back({0, count, std::string(request), {1, requests.size()}});
    return {};
  }));
  return requests;
}

TEST(Batch, packs_within_its_bounds_and_in_order) {
  std::vector<LabelledSample> samples;
  for (int i = 0; i < 25'000; ++i) samples.push_back({labels(i), {i, 1.0}});
  const auto requests = packed(samples);
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].samples, kQueuedSamplesMax);
  int next = 0;
  for (const auto& request : requests)
    for (const auto& sample : Read(request.request).samples) EXPECT_EQ(sample.second, next++);
  EXPECT_EQ(next, 25'000);

  samples.clear();
  for (int i = 0; i < 100; ++i) samples.push_back({labels(i, 50'000), {i, 1.0}});
  const auto large = packed(samples);
  EXPECT_EQ(large.size(), 5U);
  for (const auto& request : large) EXPECT_LE(*wire::unpacked_bytes(request.request), kQueuedBytesMax);
  EXPECT_TRUE(packed({}).empty());
}

TEST(Batch, the_first_error_of_the_queue_ends_packing) {
  std::vector<LabelledSample> samples;
  for (int i = 0; i < 25'000; ++i) samples.push_back({labels(i), {i, 1.0}});
  int calls = 0;
  const auto status = pack_samples(samples, [&](std::uint32_t, std::string_view) -> base::Status {
    ++calls;
    return base::fail(base::ErrorCode::kLimit, "full");
  });
  EXPECT_FALSE(status);
  EXPECT_EQ(calls, 1);
}

TEST(Batch, joins_requests_into_one_with_each_series_once) {
  std::vector<QueuedRequest> requests;
  std::size_t apart = 0;
  std::size_t apart_unpacked = 0;
  for (int pass = 0; pass < 10; ++pass) {
    std::vector<LabelledSample> samples;
    // A series that comes and goes, and another order now and then.
    for (int i = 0; i < 100; ++i)
      if (i != pass) samples.push_back({labels(pass % 3 == 0 ? 99 - i : i), {pass * 1000 + i, 1.0}});
    for (auto& one : packed(samples)) {
      apart += one.request.size();
      apart_unpacked += *wire::unpacked_bytes(one.request);
      requests.push_back(std::move(one));
    }
  }
  const auto joined = join(requests);
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->joined, 10U);
  EXPECT_EQ(joined->samples, 990U);
  EXPECT_LT(joined->body.size(), apart);
  EXPECT_LT(*wire::unpacked_bytes(joined->body) * 2, apart_unpacked);
  std::map<std::string, std::vector<model::TimestampMs>> series;
  std::size_t runs = 0;
  std::string last;
  for (const auto& [name, time_ms] : Read(joined->body).samples) {
    if (name != last) ++runs;
    last = name;
    auto& times = series[name];
    EXPECT_TRUE(times.empty() || times.back() < time_ms) << "samples of a series stay in order";
    times.push_back(time_ms);
  }
  EXPECT_EQ(series.size(), 100U);
  EXPECT_EQ(runs, 100U);
}

TEST(Batch, joins_no_more_than_its_bytes_and_one_as_it_is) {
  std::vector<QueuedRequest> requests;
  for (int n = 0; n < 8; ++n) {
    std::vector<LabelledSample> samples;
    for (int i = 0; i < 20; ++i) samples.push_back({labels(n * 20 + i, 45'000), {i, 1.0}});
    for (auto& one : packed(samples)) requests.push_back(std::move(one));
  }
  ASSERT_EQ(requests.size(), 8U);
  const auto joined = join(requests);
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->joined, 4U);
  EXPECT_EQ(joined->samples, 80U);
  const auto one = join(std::span(requests).last(1));
  EXPECT_EQ(one->joined, 1U);
  EXPECT_EQ(one->body, requests.back().request);
}

TEST(Batch, what_is_no_request_of_ours_ends_the_joining_and_is_told_when_it_comes_first) {
  auto requests = packed({{labels(1), {1, 1.0}}});
  requests.push_back(requests.front());
  requests[1].request = "nonsense";
  EXPECT_EQ(join(requests)->joined, 1U);
  const auto refused = join(std::span(requests).last(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace qd::ship::remote_write
