#include "model/remote_write/write_request.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

#include "model/remote_write/snappy_block.h"

namespace qd::model::remote_write {
namespace {

using base::ErrorCode;

// What a request holds, as text.
class Told final : public WriteSink {
 public:
  void series(base::Result<LabelSet> labels) override {
    lines.push_back(labels ? labels->to_string() : "bad: " + labels.error().message());
  }
  void sample(const Sample& sample) override {
    lines.push_back(std::to_string(sample.time_ms) + "=" + std::to_string(std::bit_cast<std::uint64_t>(sample.value)));
    values.push_back(sample.value);
  }
  void histogram(TimestampMs time_ms, base::Result<Histogram> histogram) override {
    times.push_back(time_ms);
    histograms.push_back(std::move(histogram));
  }
  void exemplar(base::Result<LabelSet> labels, const Sample& sample) override {
    exemplars.push_back((labels ? labels->to_string() : "bad: " + labels.error().message()) + " " +
                        std::to_string(sample.value) + "@" + std::to_string(sample.time_ms));
  }
  void metadata(std::string_view family, MetricType type, std::string_view help, std::string_view unit) override {
    lines.push_back(std::string(family) + " " + std::string(to_string(type)) + " " + std::string(help) + " " +
                    std::string(unit));
  }

  std::vector<std::string> lines;
  std::vector<double> values;
  std::vector<TimestampMs> times;
  std::vector<base::Result<Histogram>> histograms;
  std::vector<std::string> exemplars;
};

std::string field(char tag, const std::string& bytes) {
  std::string out(1, static_cast<char>(tag << 3 | 2));
  std::size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) out += static_cast<char>(size | 0x80);
  out += static_cast<char>(size);
  return out + bytes;
}
std::string label(const std::string& name, const std::string& value) {
  return field(1, field(1, name) + field(2, value));
}
const std::string kSample = field(2, std::string("\x10\x05"));  // 0 at 5 ms: zero is not written

std::vector<std::string> lines_of(const std::string& message) {
  Told told;
  EXPECT_TRUE(read_write_request(message, told));
  return told.lines;
}

TEST(WriteRequest, reads_what_it_wrote_with_every_bit_of_a_value) {
  std::string message;
  const LabelSet labels{{"__name__", "up"}, {"job", "node"}, {"zone", "ä"}};
  const std::vector<Sample> samples = {{-5, 1.5}, {1'700'000'000'123, stale_nan()}};
  append_series(message, encode_labels(labels), samples);
  append_metadata(message, "up", {MetricType::kStateSet, "Is it up?", "seconds"});
  Told told;
  ASSERT_TRUE(read_write_request(message, told));
  ASSERT_EQ(told.lines.size(), 4U);
  EXPECT_EQ(told.lines[0], labels.to_string());
  EXPECT_EQ(told.lines[1].substr(0, 3), "-5=");
  EXPECT_EQ(told.lines[3], "up stateset Is it up? seconds");
  EXPECT_TRUE(is_stale_nan(told.values[1]));
}

TEST(WriteRequest, reads_bytes_that_another_encoder_wrote) {
  // {__name__="a", b="c"} 1.5 at 1000 ms, as prometheus.WriteRequest in Go writes it.
  const std::string message(
      "\x0a\x25\x0a\x0d\x0a\x08__name__\x12\x01"
      "a\x0a\x06\x0a\x01"
      "b\x12\x01"
      "c\x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xe8\x07"
      "\x1a\x00",
      41);
  EXPECT_EQ(lines_of(message),
            (std::vector<std::string>{"a{b=\"c\"}", "1000=" + std::to_string(std::bit_cast<std::uint64_t>(1.5))}));
}

TEST(WriteRequest, takes_labels_in_any_order_and_after_the_samples) {
  EXPECT_EQ(lines_of(field(1, kSample + label("b", "1") + label("__name__", "m") + label("a", "2"))),
            (std::vector<std::string>{"m{a=\"2\", b=\"1\"}", "5=0"}));
}

TEST(WriteRequest, refuses_a_series_alone_whose_labels_cannot_be) {
  const std::string good = field(1, label("__name__", "good") + kSample);
  const auto refused = [&](const std::string& labels) {
    const auto lines = lines_of(field(1, labels + kSample) + good);
    EXPECT_EQ(lines.size(), 4U);
    EXPECT_EQ(lines[2], "good");
    return lines[0];
  };
  EXPECT_EQ(refused(label("a", "b")), "bad: a series has no metric name");
  EXPECT_EQ(refused(label("__name__", "")), "bad: a series has no metric name");
  EXPECT_EQ(refused(label("__name__", "\xff")), "bad: the value of the label \"__name__\" is not UTF-8");
  EXPECT_EQ(refused(label("__name__", "m") + label("a\xff", "x")), "bad: \"a\\xff\" is no name for a label");
  EXPECT_EQ(refused(label("__name__", "m") + label("", "x")), "bad: \"\" is no name for a label");
  EXPECT_EQ(refused(label("__name__", "m") + label("a", "x") + label("a", "y")),
            "bad: a series has the label \"a\" twice");
  EXPECT_EQ(refused(label("__name__", "m") + label("a", "\xff")), "bad: the value of the label \"a\" is not UTF-8");
  std::string many = label("__name__", "m");
  for (std::size_t i = 0; i < kLabelsMax; ++i) many += label("a" + std::to_string(i), "x");
  EXPECT_EQ(refused(many), "bad: a series has more than 1024 labels");
}

TEST(WriteRequest, names_may_be_any_utf_8) {
  EXPECT_EQ(lines_of(field(1, label("__name__", "http.requests") + label("größe", "x") + kSample)).size(), 2U);
  EXPECT_EQ(lines_of(field(1, label("__name__", "http.requests") + label("größe", "x") + kSample))[0].substr(0, 3),
            "{\"h");
}

TEST(WriteRequest, an_empty_value_is_no_label) {
  EXPECT_EQ(lines_of(field(1, label("__name__", "m") + label("a", "") + kSample))[0], "m");
}

Histogram some_histogram(bool integers) {
  return {.schema = 3,
          .reset = CounterReset::kGauge,
          .is_integer = integers,
          .zero_threshold = 1e-128,
          .zero_count = integers ? 2.0 : 2.5,
          .count = integers ? 11.0 : 12.0,
          .sum = 18.4,
          .positive_spans = {{0, 2}, {1, 2}},
          .negative_spans = {{-3, 1}},
          .positive = {1, 3, 2, 1},
          .negative = {2}};
}

TEST(WriteRequest, histograms_and_exemplars_come_back_as_they_went) {
  const LabelSet labels{{"__name__", "m"}, {"job", "x"}};
  const Histogram custom{.schema = kCustomBounds,
                         .is_integer = true,
                         .count = 3,
                         .sum = 4,
                         .positive_spans = {{0, 2}},
                         .positive = {1, 2},
                         .custom_bounds = {0.5, 10}};
  std::string message;
  append_series(message, encode_labels(labels), {},
                exemplar_field(LabelSet{{"trace_id", "abc"}}, {7, 0.5}) + histogram_field(5, some_histogram(true)) +
                    histogram_field(6, some_histogram(false)) + histogram_field(8, custom));
  Told told;
  ASSERT_TRUE(read_write_request(message, told));
  EXPECT_EQ(told.lines, std::vector<std::string>{labels.to_string()});
  EXPECT_EQ(told.times, (std::vector<TimestampMs>{5, 6, 8}));
  ASSERT_EQ(told.histograms.size(), 3U);
  EXPECT_EQ(told.histograms[0].value(), some_histogram(true));
  EXPECT_EQ(told.histograms[0]->reset, CounterReset::kGauge);
  EXPECT_EQ(told.histograms[1].value(), some_histogram(false));
  EXPECT_EQ(told.histograms[2].value(), custom);
  EXPECT_EQ(told.exemplars, std::vector<std::string>{"{trace_id=\"abc\"} 0.500000@7"});
}

TEST(WriteRequest, a_histogram_that_cannot_be_is_refused_alone_and_a_stale_one_ends_the_series) {
  Histogram broken = some_histogram(true);
  broken.positive.pop_back();
  Histogram stale;
  stale.sum = stale_nan();
  std::string message;
  append_series(message, encode_labels(LabelSet{{"__name__", "m"}}), {},
                histogram_field(5, broken) + histogram_field(6, some_histogram(true)) + histogram_field(9, stale));
  Told told;
  ASSERT_TRUE(read_write_request(message, told));
  ASSERT_EQ(told.histograms.size(), 2U);
  EXPECT_FALSE(told.histograms[0]);
  EXPECT_TRUE(told.histograms[1]);
  ASSERT_EQ(told.values.size(), 1U);
  EXPECT_TRUE(is_stale_nan(told.values[0]));
}

TEST(WriteRequest, hostile_spans_and_counts_are_refused) {
  const auto refused = [](const std::string& histogram) {
    Told told;
    const auto read = read_write_request(field(1, label("__name__", "m") + field(4, histogram)), told);
    return !read || (told.histograms.size() == 1 && !told.histograms[0]);
  };
  const std::string span_of_4g("\x10\xff\xff\xff\xff\x0f", 6);
  EXPECT_TRUE(refused(field(11, span_of_4g))) << "a span of four billion buckets that are not there";
  EXPECT_TRUE(refused(std::string("\x20\xac\x01"))) << "schema 86";
  EXPECT_TRUE(refused(field(12, std::string("\x01")) + field(11, std::string("\x10\x01")))) << "a negative count";
  EXPECT_TRUE(refused(field(12, std::string(kHistogramBucketsMax + 10, '\x00')))) << "too many buckets";
  EXPECT_TRUE(refused("\x01\x02")) << "no message at all";
}

TEST(WriteRequest, passes_over_fields_that_it_does_not_know_and_wrong_types_of_those_it_does) {
  // Field 7 of the request; field 2 of a series as a varint.
  EXPECT_EQ(lines_of(field(7, "later") + field(1, label("__name__", "m") + std::string("\x10\x01") + kSample)),
            (std::vector<std::string>{"m", "5=0"}));
}

TEST(WriteRequest, leaves_out_metadata_that_is_too_long_or_not_text) {
  std::string message;
  append_metadata(message, "long", {MetricType::kGauge, std::string(kHelpBytesMax + 1, 'x'), ""});
  append_metadata(message, "binary", {MetricType::kGauge, "\xff", ""});
  append_metadata(message, "", {MetricType::kGauge, "", ""});
  append_metadata(message, "fine", {MetricType::kSummary, "", ""});
  EXPECT_EQ(lines_of(message), std::vector<std::string>{"fine summary  "});
}

TEST(WriteRequest, bytes_cut_anywhere_are_refused_or_shorter_never_read_past_their_end) {
  std::string message;
  append_series(message, encode_labels(LabelSet{{"__name__", "m"}, {"a", "b"}}), std::vector<Sample>{{1, 2}, {3, 4}});
  for (std::size_t size = 1; size < message.size(); ++size) {
    const std::string exact(message.data(), size);
    Told told;
    const auto read = read_write_request(exact, told);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code(), ErrorCode::kInvalid);
  }
}

class Encoded final : public EncodedSink {
 public:
  void sample(std::string_view encoded_labels, const Sample& sample) override {
    samples.emplace_back(std::string(encoded_labels), sample.time_ms);
  }
  std::vector<std::pair<std::string, TimestampMs>> samples;
};

TEST(WriteRequest, its_own_messages_come_apart_by_their_labels) {
  const std::string a = encode_labels(LabelSet{{"__name__", "a"}});
  const std::string b = encode_labels(LabelSet{{"__name__", "b"}, {"x", "y"}});
  std::string message;
  append_series(message, a, std::vector<Sample>{{1, 0}, {2, 0}});
  append_series(message, b, std::vector<Sample>{{3, 0}});
  Encoded encoded;
  ASSERT_TRUE(read_encoded(message, encoded));
  using Pairs = std::vector<std::pair<std::string, TimestampMs>>;
  EXPECT_EQ(encoded.samples, (Pairs{{a, 1}, {a, 2}, {b, 3}}));
  EXPECT_FALSE(read_encoded(message + field(3, ""), encoded));
  EXPECT_FALSE(read_encoded(field(1, kSample + label("__name__", "m")), encoded));
}

TEST(SnappyBlock, gives_back_what_was_packed) {
  const std::string text(100'000, 'x');
  const auto block = pack(text);
  EXPECT_LT(block.size(), 10'000U);
  EXPECT_EQ(*unpacked_bytes(block), text.size());
  EXPECT_EQ(*unpack(block, text.size()), text);
  EXPECT_EQ(*unpack(pack(""), 0), "");
}

TEST(SnappyBlock, is_refused_by_the_length_that_it_claims_before_memory_is_taken) {
  const std::string gigabyte("\x80\x80\x80\x80\x04", 5);
  EXPECT_EQ(*unpacked_bytes(gigabyte), 1U << 30);
  EXPECT_EQ(unpack(gigabyte, 32 << 20).error().code(), ErrorCode::kLimit);
  // Within the bound, but no few bytes can hold so much.
  EXPECT_EQ(unpack(gigabyte, 1U << 31).error().code(), ErrorCode::kInvalid);
}

TEST(SnappyBlock, what_is_none_is_refused) {
  EXPECT_EQ(unpack("", 100).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(unpack("\xff\xff\xff\xff\xff\xff", 100).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(unpack("\x05"
                   "abc",
                   100)
                .error()
                .code(),
            ErrorCode::kInvalid);
  auto block = pack("some text that is some text that is some text");
  block.resize(block.size() - 1);
  EXPECT_EQ(unpack(block, 100).error().code(), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace qd::model::remote_write
