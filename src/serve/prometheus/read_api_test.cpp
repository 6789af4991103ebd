#include "serve/prometheus/read_api.h"

#include <gtest/gtest.h>

#include <protozero/pbf_reader.hpp>
#include <thread>

#include "base/bytes.h"
#include "model/remote_write/read_request.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "serve/door_fixture_for_test.h"
#include "store/prometheus/chunk.h"

namespace qd::serve::prometheus {
namespace {

using connect::http::Response;
using model::Matcher;
using protozero::pbf_reader;
namespace wire = model::remote_write;

class ReadApiTest : public DoorTest {
 protected:
  ReadApiTest() { add_read_route(router_, *store_, pool_, base::Log::silent(), registry_); }

  void put(const model::LabelSet& labels, int samples) {
    const auto appender = store_->appender();
    const auto ref = *appender->series(labels);
    for (int i = 0; i < samples; ++i) appender->append(ref, kStart + i * 15'000, i % 7 == 0 ? i : i * 0.1);
    ASSERT_TRUE(appender->commit());
  }
  Response read(const wire::ReadRequest& request) {
    return ask(post("/api/v1/read", wire::pack(wire::write_read_request(request))));
  }
  static wire::ReadRequest query(bool streamed, model::TimestampMs to_ms = model::kMaxTimestampMs) {
    return {.queries = {{.from_ms = 0, .to_ms = to_ms, .matchers = {Matcher::equal("__name__", "m")}}},
            .streamed = streamed};
  }
  static std::string stream_of(const Response& response) {
    std::string all;
    const auto& next = std::get<connect::http::Generator>(response.body);
    while (next(all)) std::this_thread::yield();
    return all;
  }
};

TEST_F(ReadApiTest, gives_samples_in_one_message) {
  put({{"__name__", "m"}, {"i", "1"}}, 3);
  put({{"__name__", "m"}, {"i", "2"}}, 1);
  put({{"__name__", "other"}}, 1);
  const auto response = read(query(false, kStart + 15'000));
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("Content-Encoding"), "snappy");
  const auto message = wire::unpack(text(response), 1 << 20);
  ASSERT_TRUE(message);
  std::vector<std::string> lines;
  // QueryResult has series under the number that WriteRequest has them.
  for (pbf_reader all(*message); all.next(1);) {
    class Read final : public wire::WriteSink {
     public:
      explicit Read(std::vector<std::string>& lines) : lines_(lines) {}
      void series(base::Result<model::LabelSet> labels) override { lines_.push_back(labels->to_string()); }
      void sample(const model::Sample& sample) override { lines_.push_back(std::to_string(sample.time_ms - kStart)); }
      void histogram(model::TimestampMs, base::Result<model::Histogram>) override {}
      void exemplar(base::Result<model::LabelSet>, const model::Sample&) override {}
      void metadata(std::string_view, model::MetricType, std::string_view, std::string_view) override {}

     private:
      std::vector<std::string>& lines_;
    } sink(lines);
    const auto view = all.get_view();
    ASSERT_TRUE(wire::read_write_request({view.data(), view.size()}, sink));
  }
  EXPECT_EQ(lines, (std::vector<std::string>{"m{i=\"1\"}", "0", "15000", "m{i=\"2\"}", "0"}));
}

TEST_F(ReadApiTest, streams_frames_of_chunks) {
  put({{"__name__", "m"}, {"i", "1"}}, 250);
  put({{"__name__", "m"}, {"i", "2"}}, 1);
  const auto response = read(query(true));
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, wire::kStreamedContentType);
  const std::string all = stream_of(response);
  base::ByteReader frames(base::as_bytes(all));
  std::vector<std::size_t> chunks;
  while (!frames.at_end()) {
    const auto length = frames.varint();
    std::uint32_t crc = 0;
    for (int i = 0; i < 4; ++i) crc = crc << 8 | frames.fixed<std::uint8_t>();
    const auto message = frames.raw(length);
    ASSERT_TRUE(frames.ok());
    EXPECT_EQ(base::crc32c(message), crc);
    const std::string bytes(base::as_text(message));
    pbf_reader frame(bytes);
    ASSERT_TRUE(frame.next(1));
    std::size_t count = 0;
    std::size_t samples = 0;
    for (pbf_reader series = frame.get_message(); series.next();) {
      if (series.tag() != 2) {
        series.skip();
        continue;
      }
      ++count;
      for (pbf_reader chunk = series.get_message(); chunk.next();) {
        if (chunk.tag() != 4) {
          chunk.skip();
          continue;
        }
        const std::string data = chunk.get_string();
        samples += static_cast<unsigned char>(data[0]) * 256U + static_cast<unsigned char>(data[1]);
      }
    }
    chunks.push_back(count * 1'000 + samples);
  }
  EXPECT_EQ(chunks, (std::vector<std::size_t>{3'250, 1'001})) << "chunks of 120, 120 and 10 samples, and one of 1";
}

TEST_F(ReadApiTest, what_is_no_request_is_refused) {
  EXPECT_EQ(ask(post("/api/v1/read", "no snappy")).status, 400);
  EXPECT_EQ(ask(post("/api/v1/read", wire::pack("\x0a\x7f"))).status, 400);
  EXPECT_EQ(ask(post("/api/v1/read", wire::pack(""))).status, 400);
  EXPECT_EQ(ask(post("/api/v1/read", wire::pack(std::string(kReadRequestBytesMax + 1, '\0')))).status, 413);
  EXPECT_EQ(counted("quarterdeck_read_requests_failed_total"), 4);
}

TEST_F(ReadApiTest, streams_histograms_in_chunks_of_their_own) {
  const model::LabelSet labels{{"__name__", "m"}};
  const auto appender = store_->appender();
  const auto ref = *appender->series(labels);
  model::Histogram histogram;
  histogram.is_integer = true;
  histogram.positive_spans = {{0, 1}};
  for (int i = 0; i < 3; ++i) {
    histogram.count = histogram.sum = i + 1;
    histogram.positive = {i + 1.0};
    ASSERT_EQ(appender->append(ref, kStart + i * 15'000, histogram), store::metrics::AppendOutcome::kOk);
  }
  ASSERT_EQ(appender->append(ref, kStart + 45'000, 7.0), store::metrics::AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  const std::string all = stream_of(read(query(true)));
  base::ByteReader frames(base::as_bytes(all));
  const auto length = frames.varint();
  frames.raw(4);
  const std::string bytes(base::as_text(frames.raw(length)));
  ASSERT_TRUE(frames.at_end());
  store::metrics::Columns columns;
  std::vector<std::uint32_t> encodings;
  pbf_reader frame(bytes);
  ASSERT_TRUE(frame.next(1));
  for (pbf_reader series = frame.get_message(); series.next();) {
    if (series.tag() != 2) {
      series.skip();
      continue;
    }
    for (pbf_reader chunk = series.get_message(); chunk.next();) {
      if (chunk.tag() == 3) {
        encodings.push_back(static_cast<std::uint32_t>(chunk.get_enum()));
      } else if (chunk.tag() == 4) {
        const std::string data = chunk.get_string();
        ASSERT_TRUE(store::prometheus::decode_chunk(static_cast<std::uint8_t>(encodings.back()), base::as_bytes(data),
                                                    model::kMinTimestampMs, model::kMaxTimestampMs, columns));
      } else {
        chunk.skip();
      }
    }
  }
  EXPECT_EQ(encodings, (std::vector<std::uint32_t>{2, 1}));
  ASSERT_EQ(columns.size(), 4U);
  EXPECT_EQ(*columns.histograms[2], histogram);
  EXPECT_EQ(columns.values[3], 7);
}

}  // namespace
}  // namespace qd::serve::prometheus
