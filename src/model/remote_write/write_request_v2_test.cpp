#include "model/remote_write/write_request_v2.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qd::model::remote_write {
namespace {

using base::ErrorCode;

class Told final : public WriteSink {
 public:
  void series(base::Result<LabelSet> labels) override {
    lines.push_back(labels ? labels->to_string() : "bad: " + labels.error().message());
  }
  void sample(const Sample& sample) override {
    lines.push_back(std::to_string(sample.time_ms) + "=" + std::to_string(sample.value));
  }
  void histogram(TimestampMs time_ms, base::Result<Histogram> histogram) override {
    lines.push_back(std::to_string(time_ms) + (histogram ? " histogram" : " bad histogram"));
    if (histogram) histograms.push_back(*histogram);
  }
  void exemplar(base::Result<LabelSet> labels, const Sample& sample) override {
    lines.push_back("# " + (labels ? labels->to_string() : "bad") + " " + std::to_string(sample.time_ms));
  }
  void metadata(std::string_view family, MetricType type, std::string_view help, std::string_view unit) override {
    lines.push_back(std::string(family) + " is " + std::string(to_string(type)) + ": " + std::string(help) + ", " +
                    std::string(unit));
  }

  std::vector<std::string> lines;
  std::vector<Histogram> histograms;
};

std::string field(char tag, const std::string& bytes) {
  std::string out(1, static_cast<char>(tag << 3 | 2));
  std::size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) out += static_cast<char>(size | 0x80);
  out += static_cast<char>(size);
  return out + bytes;
}

TEST(WriteRequestV2, when_counting_began_is_told_before_the_sample_to_who_wants_it) {
  class Starts final : public WriteSink {
   public:
    explicit Starts(bool wanted) : wanted_(wanted) {}
    void series(base::Result<LabelSet>) override {}
    bool wants_starts() const override { return wanted_; }
    void start(TimestampMs start_ms) override { told.push_back("from " + std::to_string(start_ms)); }
    void sample(const Sample& sample) override { told.push_back(std::to_string(sample.time_ms)); }
    void histogram(TimestampMs time_ms, base::Result<Histogram>) override {
      told.push_back("h " + std::to_string(time_ms));
    }
    void exemplar(base::Result<LabelSet>, const Sample&) override {}
    void metadata(std::string_view, MetricType, std::string_view, std::string_view) override {}
    std::vector<std::string> told;

   private:
    bool wanted_;
  };
  const auto read = [](const std::string& message, bool wanted) {
    Starts sink(wanted);
    EXPECT_TRUE(read_write_request_v2(message, sink));
    return sink.told;
  };
  WriteRequestV2 request;
  request.series(LabelSet{{"__name__", "a_total"}}, nullptr);
  request.sample({5, 1}, 2);
  request.sample({6, 2});
  const std::string own = request.finish();
  EXPECT_EQ(read(own, true), (std::vector<std::string>{"from 2", "5", "6"}));
  EXPECT_EQ(read(own, false), (std::vector<std::string>{"5", "6"}));

  // created_timestamp = 6 of a series is its first sample's, also behind the samples.
  const std::string samples = field(2, std::string("\x10\x05", 2)) + field(2, std::string("\x10\x06", 2));
  const std::string of_series = field(4, "") + field(5, samples + std::string("\x30\x03", 2));
  EXPECT_EQ(read(of_series, true), (std::vector<std::string>{"from 3", "5", "6"}));
  // int64 timestamp = 15 and start_timestamp = 17 of a histogram.
  const std::string histogram = field(3, std::string("\x78\x09\x88\x01\x04", 5));
  EXPECT_EQ(read(field(4, "") + field(5, histogram), true), (std::vector<std::string>{"from 4", "h 9"}));
}

TEST(WriteRequestV2, reads_what_it_wrote) {
  const Histogram histogram{
      .schema = 1, .is_integer = true, .count = 3, .sum = 2, .positive_spans = {{0, 1}}, .positive = {3}};
  const Metadata counter{MetricType::kCounter, "What it counts.", "bytes"};
  WriteRequestV2 request;
  request.series(LabelSet{{"__name__", "a_total"}, {"job", "x"}}, &counter);
  request.sample({5, 1});
  request.sample({6, 2});
  request.exemplar(LabelSet{{"trace_id", "t1"}}, {6, 2});
  request.series(LabelSet{{"__name__", "h"}, {"job", "x"}}, nullptr);
  request.histogram(7, histogram);
  Told told;
  ASSERT_TRUE(read_write_request_v2(request.finish(), told));
  EXPECT_EQ(told.lines,
            (std::vector<std::string>{"a_total{job=\"x\"}", "5=1.000000", "6=2.000000", "# {trace_id=\"t1\"} 6",
                                      "a_total is counter: What it counts., bytes", "h{job=\"x\"}", "7 histogram"}));
  ASSERT_EQ(told.histograms.size(), 1U);
  EXPECT_EQ(told.histograms[0], histogram);
  Told nothing;
  ASSERT_TRUE(read_write_request_v2(request.finish(), nothing)) << "empty afterwards";
  EXPECT_TRUE(nothing.lines.empty());
}

TEST(WriteRequestV2, reads_bytes_that_another_encoder_wrote_with_the_table_behind_the_series) {
  // labels_refs not packed; one sample 1.5 at 1000 ms; the symbols last.
  const std::string series =
      field(5, std::string("\x08\x01\x08\x02\x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xe8\x07\x30\xf4\x03", 21));
  const std::string symbols = field(4, "") + field(4, "__name__") + field(4, "a");
  Told told;
  ASSERT_TRUE(read_write_request_v2(series + symbols, told));
  EXPECT_EQ(told.lines, (std::vector<std::string>{"a", "1000=1.500000"}));
}

TEST(WriteRequestV2, words_of_a_bucket_are_its_familys) {
  const Metadata histogram{MetricType::kHistogram, "How long.", "seconds"};
  WriteRequestV2 request;
  request.series(LabelSet{{"__name__", "x_seconds_bucket"}, {"le", "1"}}, &histogram);
  request.sample({5, 1});
  Told told;
  ASSERT_TRUE(read_write_request_v2(request.finish(), told));
  EXPECT_EQ(told.lines.back(), "x_seconds is histogram: How long., seconds");
}

TEST(WriteRequestV2, what_names_a_text_that_is_not_there_is_refused) {
  const std::string symbols = field(4, "") + field(4, "__name__") + field(4, "a");
  const std::string sample = std::string("\x12\x02\x10\x05", 4);
  for (const std::string& series : {std::string("\x0a\x02\x01\x63"), std::string("\x0a\x02\x01\x03")}) {
    Told told;
    const auto read = read_write_request_v2(symbols + field(5, series + sample), told);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), ErrorCode::kInvalid);
  }
  Told told;
  EXPECT_FALSE(read_write_request_v2(symbols + field(5, std::string("\x0a\x01\x01", 3) + sample), told))
      << "a name without a value";
  EXPECT_FALSE(read_write_request_v2(field(4, "not empty"), told));
  EXPECT_FALSE(read_write_request_v2("\x2a\x7f", told)) << "cut";
}

TEST(WriteRequestV2, a_series_that_is_none_is_refused_alone) {
  const std::string symbols = field(4, "") + field(4, "__name__") + field(4, "a") + field(4, "job");
  const std::string sample = std::string("\x12\x02\x10\x05", 4);
  Told told;
  ASSERT_TRUE(read_write_request_v2(symbols + field(5, std::string("\x0a\x02\x03\x02", 4) + sample) +
                                        field(5, std::string("\x0a\x02\x01\x02", 4) + sample),
                                    told));
  EXPECT_EQ(told.lines,
            (std::vector<std::string>{"bad: a series has no metric name", "5=0.000000", "a", "5=0.000000"}));
}

TEST(WriteRequestV2, a_long_text_named_again_and_again_meets_a_bound) {
  const std::string symbols = field(4, "") + field(4, "__name__") + field(4, std::string(1 << 20, 'a'));
  std::string message = symbols;
  for (int i = 0; i < 300; ++i) message += field(5, std::string("\x0a\x02\x01\x02\x12\x02\x10\x05", 8));
  Told told;
  const auto read = read_write_request_v2(message, told);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), ErrorCode::kLimit);
}

}  // namespace
}  // namespace qd::model::remote_write
