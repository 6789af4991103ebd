#include "observe/scrape/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <protozero/pbf_writer.hpp>
#include <sstream>

#include "observe/scrape/fakes_for_test.h"

namespace qd::observe::scrape {
namespace {

using model::Label;
using model::LabelSet;
using model::exposition::Format;
using testing::HasSubstr;

class IngestTest : public testing::Test {
 protected:
  // What the store has afterwards; or the error, and then the target is marked stale as after any failure.
  std::string scrape(const std::string& body, std::int64_t now_ms, std::uint64_t sample_limit = 0,
                     Format format = Format::kPrometheusText) {
    counts = {};
    auto appender = store.appender();
    const auto status = ingest->append(body, format, now_ms, sample_limit, *appender, counts);
    if (!status) {
      ingest->reject();
      appender = store.appender();
      ingest->end_series(now_ms, *appender);
      EXPECT_TRUE(appender->commit());
      return status.error().message();
    }
    EXPECT_TRUE(appender->commit());
    ingest->accept();
    return store.take();
  }
  void make(const IngestOptions& options, LabelSet labels = {}) {
    ingest = std::make_unique<Ingest>(std::move(labels), options);
  }

  FakeStore store;
  IngestCounts counts;
  std::unique_ptr<Ingest> ingest = std::make_unique<Ingest>(LabelSet{}, IngestOptions{});
};

TEST_F(IngestTest, resolves_a_series_once_as_long_as_it_comes) {
  EXPECT_EQ(scrape("a 1\nb{x=\"y\"} 2\nc 3\n", 1000), "a 1 @1000\nb{x=\"y\"} 2 @1000\nc 3 @1000\n");
  EXPECT_EQ(counts.series_added, 3U);
  EXPECT_EQ(scrape("a 4\nb{x=\"y\"} 5\nc 6\n", 2000), "a 4 @2000\nb{x=\"y\"} 5 @2000\nc 6 @2000\n");
  EXPECT_EQ(counts.series_added, 0U);
  EXPECT_EQ(store.resolved(), 3U);
}

TEST_F(IngestTest, follows_series_that_come_go_and_change_places) {
  scrape("a 1\nb 1\nc 1\nd 1\n", 1000);
  EXPECT_EQ(scrape("a 2\nc 2\nd 2\n", 2000), "a 2 @2000\nc 2 @2000\nd 2 @2000\nb stale @2000\n");
  EXPECT_EQ(scrape("d 3\nnew 3\na 3\nc 3\n", 3000), "d 3 @3000\nnew 3 @3000\na 3 @3000\nc 3 @3000\n");
  EXPECT_EQ(counts.series_added, 1U);
  EXPECT_EQ(scrape("d 4\nnew 4\n", 4000), "d 4 @4000\nnew 4 @4000\na stale @4000\nc stale @4000\n");
  EXPECT_EQ(store.resolved(), 5U);
  EXPECT_EQ(scrape("", 5000), "d stale @5000\nnew stale @5000\n");
  EXPECT_EQ(scrape("", 6000), "");
}

TEST_F(IngestTest, keeps_its_bearings_over_many_random_pages) {
  std::uint64_t random = 88172645463325252;
  const auto next = [&] {
    random ^= random << 13;
    random ^= random >> 7;
    return random ^= random << 17;
  };
  std::vector<std::string> before;
  for (int round = 1; round <= 300; ++round) {
    std::vector<std::string> now;
    for (int i = 0; i < 20; ++i) {
      if (next() % 4 != 0) now.push_back("s" + std::to_string(i));
    }
    for (std::size_t i = 0; i < now.size() && next() % 2 == 0; ++i) std::swap(now[i], now[next() % now.size()]);
    std::string page;
    std::string expected;
    const std::string suffix = " @" + std::to_string(round * 1000) + "\n";
    for (const std::string& name : now) {
      page += name + " 1\n";
      expected += name + " 1" + suffix;
    }
    for (const std::string& name : before) {
      if (std::ranges::find(now, name) == now.end()) expected += name + " stale" + suffix;
    }
    ASSERT_EQ(scrape(page, round * 1000), expected) << round;
    before = now;
  }
}

TEST_F(IngestTest, counts_what_the_store_refuses_and_goes_on) {
  EXPECT_EQ(scrape("a 1\na 1\na 2\nb 1\n", 1000), "a 1 @1000\nb 1 @1000\n");
  EXPECT_EQ(counts.duplicate, 1U);
  EXPECT_EQ(scrape("a 1 500\nb 1\n", 2000), "b 1 @2000\n");
  EXPECT_EQ(counts.out_of_order, 1U);
}

TEST_F(IngestTest, puts_no_stale_marker_on_series_with_their_own_timestamps) {
  scrape("a 1 900\nb 1\n", 1000);
  EXPECT_EQ(scrape("c 1\n", 2000), "c 1 @2000\nb stale @2000\n");
  make({.track_timestamps_staleness = true});
  scrape("t 1 2900\n", 3000);
  EXPECT_EQ(scrape("", 4000), "t stale @4000\n");
  make({.honor_timestamps = false});
  EXPECT_EQ(scrape("u 1 4900\n", 5000), "u 1 @5000\n");
  EXPECT_EQ(scrape("", 6000), "u stale @6000\n");
}

TEST_F(IngestTest, keeps_nothing_of_a_page_with_a_malformed_line) {
  scrape("a 1\nb 1\n", 1000);
  EXPECT_THAT(scrape("a 2\nx 2\nb oops\n", 2000), HasSubstr("line 3"));
  EXPECT_EQ(counts.samples, 2U);
  EXPECT_EQ(store.take(), "a stale @2000\nb stale @2000\n");
  EXPECT_THAT(scrape("{", 3000), HasSubstr("line 1"));
  EXPECT_EQ(store.take(), "");
  // It remembers the series, and they go on.
  const std::size_t resolved = store.resolved();
  EXPECT_EQ(scrape("a 3\nb 3\n", 4000), "a 3 @4000\nb 3 @4000\n");
  EXPECT_EQ(store.resolved(), resolved);
}

TEST_F(IngestTest, fails_past_a_limit_and_names_it) {
  EXPECT_THAT(scrape("a 1\nb 1\nc 1\n", 1000, 2), HasSubstr("3 samples, which is more than sample_limit 2"));
  EXPECT_EQ(scrape("a 1\nb 1\n", 2000, 2), "a 1 @2000\nb 1 @2000\n");
  make({.label_limit = 2}, {{"job", "j"}});
  EXPECT_EQ(scrape("a 1\n", 3000), "a{job=\"j\"} 1 @3000\n");
  EXPECT_THAT(scrape("a{x=\"y\"} 1\n", 4000), HasSubstr("label_limit 2 is exceeded (3) by a series of the metric a"));
  make({.label_name_length_limit = 8});
  EXPECT_THAT(scrape("a{ninechars=\"y\"} 1\n", 5000), HasSubstr("label_name_length_limit 8"));
  make({.label_value_length_limit = 3});
  EXPECT_THAT(scrape("a{x=\"four\"} 1\n", 6000), HasSubstr("label_value_length_limit 3"));
}

TEST_F(IngestTest, sheds_only_new_series_when_the_store_is_full) {
  scrape("a 1\n", 1000);
  store.series_limit = 1;
  EXPECT_EQ(scrape("b 2\na 2\nc 2\n", 2000), "a 2 @2000\n");
  EXPECT_EQ(counts.series_refused, 2U);
  EXPECT_EQ(counts.refusal, "store.series_limit");
  store.series_limit = 10;
  EXPECT_EQ(scrape("b 3\na 3\nc 3\n", 3000), "b 3 @3000\na 3 @3000\nc 3 @3000\n");
}

TEST_F(IngestTest, asks_again_for_series_that_the_store_has_dropped) {
  scrape("a 1\nb{x=\"1\"} 1\n", 1000);
  store.forget_series();
  EXPECT_EQ(scrape("a 2\nb{x=\"1\"} 2\n", 2000), "a 2 @2000\nb{x=\"1\"} 2 @2000\n");
}

TEST_F(IngestTest, tells_metadata_when_it_is_new_or_changes) {
  const std::string body = "# HELP a First.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n";
  scrape(body, 1000);
  EXPECT_EQ(store.metadata["a"], (model::Metadata{model::MetricType::kCounter, "First.", ""}));
  EXPECT_EQ(store.metadata["b"].type, model::MetricType::kGauge);
  EXPECT_EQ(store.metadata_calls, 2U);
  scrape(body, 2000);
  EXPECT_EQ(store.metadata_calls, 2U);
  scrape("# HELP a Second.\n# TYPE a counter\na 1\n", 3000);
  EXPECT_EQ(store.metadata["a"].help, "Second.");
  EXPECT_EQ(store.metadata_calls, 3U);
}

TEST_F(IngestTest, holds_openmetrics_to_its_families_whenever_the_lines_change) {
  const std::string negative = "# TYPE a counter\na_total -1\n# EOF\n";
  EXPECT_THAT(scrape(negative, 1000, 0, Format::kOpenMetrics), HasSubstr("observe.scrape.openmetrics: lenient"));
  EXPECT_EQ(scrape("# TYPE a counter\na_total 1\n# EOF\n", 2000, 0, Format::kOpenMetrics), "a_total 1 @2000\n");
  const std::string torn = "# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\n# TYPE a counter\na_total 2\n# EOF\n";
  EXPECT_THAT(scrape(torn, 3000, 0, Format::kOpenMetrics), HasSubstr("line 7: metric family \"a\""));
  EXPECT_EQ(scrape("# TYPE a counter\na_total 3\n# EOF\n", 4000, 0, Format::kOpenMetrics),
            "a_total stale @3000\na_total 3 @4000\n");
  make({.check_families = false});
  EXPECT_EQ(scrape(negative, 5000, 0, Format::kOpenMetrics), "a_total -1 @5000\n");
  EXPECT_EQ(scrape("# TYPE a counter\na_total -1\n", 6000), "a_total -1 @6000\n")
      << "the text format has no such rules";
}

TEST_F(IngestTest, reads_openmetrics_with_its_units_and_seconds) {
  EXPECT_EQ(scrape("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1 1.5\n# EOF\n", 1000, 0,
                   Format::kOpenMetrics),
            "a_seconds 1 @1500\n");
  EXPECT_EQ(store.metadata["a_seconds"].unit, "seconds");
  EXPECT_THAT(scrape("a_seconds 1\n", 2000, 0, Format::kOpenMetrics), HasSubstr("without # EOF"));
}

LabelSet joined(std::vector<Label> sample, const LabelSet& target, bool honor_labels) {
  return sample_labels(sample, target, honor_labels);
}

TEST_F(IngestTest, hands_exemplars_over_with_the_sample_they_stand_behind) {
  make({}, LabelSet{{"job", "x"}});
  const std::string page =
      "# TYPE a counter\na_total{p=\"1\"} 3 # {trace_id=\"x\\\"y\",b=\"\"} 0.5\na_total{p=\"2\"} 1 # {} 2 4.5\n# EOF\n";
  const std::string expected =
      "a_total{job=\"x\", p=\"1\"} 3 @1000\n"
      "a_total{job=\"x\", p=\"1\"} # {trace_id=\"x\\\"y\"} 0.5 @1000\n"
      "a_total{job=\"x\", p=\"2\"} 1 @1000\n"
      "a_total{job=\"x\", p=\"2\"} # {} 2 @@4500\n";
  EXPECT_EQ(scrape(page, 1000, 0, Format::kOpenMetrics), expected);
  store.forget_series();
  scrape(page, 1000, 0, Format::kOpenMetrics);
  EXPECT_EQ(store.resolved(), 4U);
}

TEST(SampleLabels, the_target_wins_and_the_sample_keeps_its_own_as_exported) {
  const LabelSet target{{"job", "j"}, {"instance", "i"}};
  EXPECT_EQ(joined({{"__name__", "m"}, {"job", "own"}, {"x", "y"}}, target, false),
            (LabelSet{{"__name__", "m"}, {"exported_job", "own"}, {"instance", "i"}, {"job", "j"}, {"x", "y"}}));
  EXPECT_EQ(joined({{"__name__", "m"}, {"job", "own"}, {"exported_job", "e"}}, target, false),
            (LabelSet{{"__name__", "m"},
                      {"exported_exported_job", "own"},
                      {"exported_job", "e"},
                      {"instance", "i"},
                      {"job", "j"}}));
  EXPECT_EQ(joined({{"__name__", "m"}, {"job", ""}}, target, false),
            (LabelSet{{"__name__", "m"}, {"instance", "i"}, {"job", "j"}}));
}

TEST(SampleLabels, with_honor_labels_the_sample_wins_even_with_nothing) {
  const LabelSet target{{"job", "j"}, {"instance", "i"}};
  EXPECT_EQ(joined({{"__name__", "m"}, {"job", "own"}, {"instance", ""}}, target, true),
            (LabelSet{{"__name__", "m"}, {"job", "own"}}));
}

TEST_F(IngestTest, agrees_with_the_public_conformance_suite_of_openmetrics) {
  const std::filesystem::path dir = std::filesystem::path(QD_SOURCE_DIR) / "../shared/conformance/openmetrics";
  if (!std::filesystem::exists(dir)) GTEST_SKIP() << "no conformance data at " << dir;
  const auto slurp = [](const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  };
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    const bool good = slurp(entry.path() / "test.json").find("\"shouldParse\": true") != std::string::npos;
    make({});
    auto appender = store.appender();
    const auto status =
        ingest->append(slurp(entry.path() / "metrics"), Format::kOpenMetrics, 1000, 0, *appender, counts);
    EXPECT_EQ(status.has_value(), good) << entry.path() << (status ? "" : status.error().message());
    ++cases;
  }
  EXPECT_GT(cases, 100);
}

// A body with one family: a histogram with a classic and a native part.
std::string histogram_body(std::uint64_t in_first_bucket, std::int64_t created_s = 0) {
  using protozero::pbf_writer;
  const auto message = [](const std::function<void(pbf_writer&)>& fill) {
    std::string bytes;
    pbf_writer writer(bytes);
    fill(writer);
    return bytes;
  };
  const std::string histogram = message([&](pbf_writer& h) {
    h.add_uint64(1, in_first_bucket);
    h.add_double(2, 4);
    h.add_message(3, message([&](pbf_writer& b) {
                    b.add_uint64(1, in_first_bucket);
                    b.add_double(2, 1);
                  }));
    h.add_message(12, message([](pbf_writer& span) {
                    span.add_sint32(1, 0);
                    span.add_uint32(2, 1);
                  }));
    const std::int64_t deltas[] = {static_cast<std::int64_t>(in_first_bucket)};
    h.add_packed_sint64(13, std::begin(deltas), std::end(deltas));
    if (created_s != 0) h.add_message(15, message([&](pbf_writer& t) { t.add_int64(1, created_s); }));
  });
  const std::string family = message([&](pbf_writer& f) {
    f.add_string(1, "h");
    f.add_enum(3, 4);
    f.add_message(4, message([&](pbf_writer& metric) { metric.add_message(7, histogram); }));
  });
  std::string body;
  protozero::write_varint(std::back_inserter(body), family.size());
  return body + family;
}

TEST_F(IngestTest, a_created_line_is_a_series_unless_zeros_are_wanted) {
  const std::string page = "# TYPE a counter\na_total{x=\"1\"} 5\na_created{x=\"1\"} 0.5\n# TYPE g gauge\ng 1\n# EOF\n";
  EXPECT_EQ(scrape(page, 1000, 0, Format::kOpenMetrics),
            "a_total{x=\"1\"} 5 @1000\na_created{x=\"1\"} 0.5 @1000\ng 1 @1000\n");
  EXPECT_EQ(counts.samples, 3U);
  // Wanted from now on: the series has more than the zero already.
  store.takes_starts = true;
  EXPECT_EQ(scrape(page, 2000, 0, Format::kOpenMetrics),
            "a_total{x=\"1\"} 5 @2000\ng 1 @2000\na_created{x=\"1\"} stale @2000\n");
  EXPECT_EQ(counts.samples, 2U);
}

TEST_F(IngestTest, a_zero_stands_where_counting_began_and_began_anew) {
  store.takes_starts = true;
  const auto page = [](std::string_view created, std::string_view others = "") {
    return "# TYPE a counter\na_total 5\na_created " + std::string(created) + "\n" + std::string(others) + "# EOF\n";
  };
  EXPECT_EQ(scrape(page("0.5"), 1000, 0, Format::kOpenMetrics), "a_total 0 @500\na_total 5 @1000\n");
  EXPECT_EQ(scrape(page("0.5"), 2000, 0, Format::kOpenMetrics), "a_total 5 @2000\n");
  // Restarted between two scrapes.
  EXPECT_EQ(scrape(page("2.5"), 3000, 0, Format::kOpenMetrics), "a_total 0 @2500\na_total 5 @3000\n");
  // Older than the last sample, in the future, of another series.
  EXPECT_EQ(scrape(page("2.7"), 4000, 0, Format::kOpenMetrics), "a_total 5 @4000\n");
  EXPECT_EQ(scrape(page("9"), 5000, 0, Format::kOpenMetrics), "a_total 5 @5000\n");
  // Only one of two series has begun.
  const std::string both = "a_total{x=\"1\"} 1\na_created{x=\"1\"} 5.25\n";
  EXPECT_EQ(scrape(page("9", both), 6000, 0, Format::kOpenMetrics),
            "a_total 5 @6000\na_total{x=\"1\"} 0 @5250\na_total{x=\"1\"} 1 @6000\n");
}

TEST_F(IngestTest, protobuf_says_as_well_when_counting_began) {
  store.takes_starts = true;
  make({.histograms = {.native = true}});
  EXPECT_EQ(scrape(histogram_body(7, 1), 3000, 0, Format::kProtobuf), "h 0 @1000\nh 7 @3000\n");
  EXPECT_EQ(scrape(histogram_body(8, 1), 4000, 0, Format::kProtobuf), "h 8 @4000\n");
  EXPECT_EQ(scrape(histogram_body(2, 5), 6000, 0, Format::kProtobuf), "h 0 @5000\nh 2 @6000\n");
  ASSERT_EQ(store.histograms.size(), 5U);
  EXPECT_EQ(store.histograms[3].second.reset, model::CounterReset::kReset);
}

TEST_F(IngestTest, a_limit_of_series_counts_each_once_as_long_as_there_is_one) {
  ingest->limit_series(100);
  for (int round = 0; round < 20; ++round) {
    std::string page = "stays 1\n";
    for (int i = 0; i < 10; ++i) page += "churns{id=\"" + std::to_string(round * 10 + i) + "\"} 1\n";
    scrape(page, 1000 * (round + 1));
    EXPECT_EQ(ingest->series_made(), std::min(100, 1 + (round + 1) * 10));
    EXPECT_EQ(counts.past_series_limit, round < 9 ? 0U : round == 9 ? 1U : 10U);
  }
  EXPECT_EQ(store.resolved(), 100U);
  ingest->limit_series(0);
  scrape("other 1\n", 30'000);
  EXPECT_EQ(counts.past_series_limit, 0U);
  EXPECT_EQ(ingest->series_made(), 0U);
}

TEST_F(IngestTest, sums_counts_and_buckets_begin_with_a_zero_and_quantiles_do_not) {
  store.takes_starts = true;
  EXPECT_EQ(scrape("# TYPE s summary\ns{quantile=\"0.5\"} 3\ns_sum 7\ns_count 2\ns_created 0.5\n"
                   "# TYPE h histogram\nh_bucket{x=\"1\",le=\"+Inf\"} 1\nh_count{x=\"1\"} 1\nh_sum{x=\"1\"} 1\n"
                   "h_created{x=\"1\"} 0.25\n# EOF\n",
                   1000, 0, Format::kOpenMetrics),
            "s{quantile=\"0.5\"} 3 @1000\ns_sum 0 @500\ns_sum 7 @1000\ns_count 0 @500\ns_count 2 @1000\n"
            "h_bucket{le=\"+Inf\", x=\"1\"} 0 @250\nh_bucket{le=\"+Inf\", x=\"1\"} 1 @1000\n"
            "h_count{x=\"1\"} 0 @250\nh_count{x=\"1\"} 1 @1000\nh_sum{x=\"1\"} 0 @250\nh_sum{x=\"1\"} 1 @1000\n");
}

TEST_F(IngestTest, reads_protobuf_and_hands_native_histograms_on) {
  const std::string classic =
      "h_bucket{le=\"1.0\"} 7 @1000\nh_bucket{le=\"+Inf\"} 7 @1000\nh_sum 4 @1000\nh_count 7 @1000\n";
  EXPECT_EQ(scrape(histogram_body(7), 1000, 0, Format::kProtobuf), classic);

  IngestOptions options;
  options.histograms.native = true;
  make(options);
  EXPECT_EQ(scrape(histogram_body(7), 2000, 0, Format::kProtobuf), "h 7 @2000\n");
  EXPECT_EQ(scrape(histogram_body(8), 3000, 0, Format::kProtobuf), "h 8 @3000\n");
  ASSERT_EQ(store.histograms.size(), 2U);
  EXPECT_EQ(store.histograms[1].first, 3000);
  EXPECT_EQ(store.histograms[1].second.positive, std::vector<double>{8});
  // It ends as any series does.
  EXPECT_EQ(scrape("", 4000, 0, Format::kProtobuf), "h stale @4000\n");
  EXPECT_THAT(scrape(histogram_body(7).substr(0, 9), 5000, 0, Format::kProtobuf), HasSubstr("message 1: "));
  EXPECT_EQ(store.metadata.at("h").type, model::MetricType::kHistogram);
}

}  // namespace
}  // namespace qd::observe::scrape
