#include "model/exposition/proto_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <protozero/pbf_writer.hpp>
#include <sstream>

namespace qd::model::exposition {
namespace {

using protozero::pbf_writer;
using testing::HasSubstr;

std::string message(const std::function<void(pbf_writer&)>& fill) {
  std::string bytes;
  pbf_writer writer(bytes);
  fill(writer);
  return bytes;
}

std::string labels(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out;
  for (const auto& [name, value] : pairs) {
    const std::string one = message([&](pbf_writer& w) {
      w.add_string(1, name);
      w.add_string(2, value);
    });
    pbf_writer(out).add_message(1, one);
  }
  return out;
}

// A family as it stands in a body, its length first.
std::string family(const std::string& name, int type, const std::vector<std::string>& metrics,
                   const std::string& unit = "") {
  const std::string bytes = message([&](pbf_writer& w) {
    w.add_string(1, name);
    w.add_string(2, "Help of " + name);
    w.add_enum(3, type);
    for (const std::string& metric : metrics) w.add_message(4, metric);
    if (!unit.empty()) w.add_string(5, unit);
  });
  std::string out;
  protozero::write_varint(std::back_inserter(out), bytes.size());
  return out + bytes;
}

std::string value_of(std::uint32_t kind, double value, std::int64_t time_ms = 0,
                     const std::vector<std::pair<std::string, std::string>>& pairs = {}) {
  return labels(pairs) + message([&](pbf_writer& w) {
           w.add_message(kind, message([&](pbf_writer& v) { v.add_double(1, value); }));
           if (time_ms != 0) w.add_int64(6, time_ms);
         });
}

std::string describe(std::string_view body, const ProtoParser::Options& options = {}) {
  ProtoParser parser(body, options);
  std::ostringstream out;
  while (true) {
    const auto event = parser.next();
    if (!event) return out.str() + event.error().message();
    if (*event == Event::kEof) return out.str();
    if (*event == Event::kType) out << "TYPE " << parser.family() << " " << to_string(parser.type()) << "\n";
    if (*event == Event::kHelp) out << "HELP " << parser.help() << "\n";
    if (*event == Event::kUnit) out << "UNIT " << parser.unit() << "\n";
    if (*event != Event::kSeries && *event != Event::kHistogram) continue;
    out << parser.series() << " " << LabelSet::from({parser.labels().begin(), parser.labels().end()}).to_string()
        << " ";
    if (*event == Event::kSeries) {
      out << parser.value();
    } else {
      const Histogram& h = parser.histogram();
      out << "schema " << h.schema << " count " << h.count << " sum " << h.sum << " zero " << h.zero_count << " [";
      for (const double count : h.positive) out << count << " ";
      out << "] [";
      for (const double count : h.negative) out << count << " ";
      out << "] bounds [";
      for (const double bound : h.custom_bounds) out << bound << " ";
      out << "]" << (h.is_integer ? " integer" : " float") << (validate(h) ? "" : " invalid");
    }
    if (parser.timestamp_ms()) out << " @" << *parser.timestamp_ms();
    out << "\n";
  }
}

TEST(ProtoParser, says_when_what_counts_was_created) {
  const auto created = [](std::uint32_t kind, std::uint32_t tag, const std::function<void(pbf_writer&)>& more) {
    return message([&](pbf_writer& w) {
      w.add_message(kind, message([&](pbf_writer& m) {
                      more(m);
                      m.add_message(tag, message([](pbf_writer& t) {
                                      t.add_int64(1, 1'520'430'000);
                                      t.add_int32(2, 123'000'000);
                                    }));
                    }));
    });
  };
  const std::string quantile = message([](pbf_writer& q) { q.add_double(1, 0.5); });
  const auto times = [](const std::string& body, bool native) {
    ProtoParser parser(body, {.native_histograms = native});
    std::string out;
    while (true) {
      const auto event = parser.next();
      EXPECT_TRUE(event);
      if (!event || *event == Event::kEof) return out;
      if (*event != Event::kSeries && *event != Event::kHistogram) continue;
      out +=
          std::string(parser.series()) + (parser.created_ms() ? "@" + std::to_string(*parser.created_ms()) : "") + " ";
    }
  };
  const std::string at = "@1520430000123 ";
  EXPECT_EQ(times(family("c", 0, {created(3, 3, [](pbf_writer& c) { c.add_double(1, 5); }), value_of(3, 5)}), false),
            "c" + at + "c ");
  EXPECT_EQ(times(family("s", 2, {created(4, 4, [&](pbf_writer& s) { s.add_message(3, quantile); })}), false),
            "s{quantile=\"0.5\"} s_sum" + at + "s_count" + at);
  const auto buckets = [](pbf_writer& h) { h.add_double(6, 0.001); };
  EXPECT_EQ(times(family("h", 4, {created(7, 15, buckets)}), false),
            "h_bucket{le=\"+Inf\"}" + at + "h_sum" + at + "h_count" + at);
  EXPECT_EQ(times(family("h", 4, {created(7, 15, buckets)}), true), "h#histogram" + at);
  EXPECT_EQ(times(family("h", 5, {created(7, 15, buckets)}), true), "h#histogram ") << "a gauge";
}

TEST(ProtoParser, reads_what_text_would_say) {
  EXPECT_EQ(describe(family("c_total", 0, {value_of(3, 5, 0, {{"a", "x\"y"}})}) +
                     family("g", 1, {value_of(2, 1.5, 1'000)}, "bytes") + family("u", 3, {value_of(5, 2)})),
            "TYPE c_total counter\nHELP Help of c_total\nc_total{a=\"x\\\"y\"} c_total{a=\"x\\\"y\"} 5\n"
            "TYPE g gauge\nHELP Help of g\nUNIT bytes\ng g 1.5 @1000\n"
            "TYPE u unknown\nHELP Help of u\nu u 2\n");
  const std::string summary = message([](pbf_writer& w) {
    w.add_message(4, message([](pbf_writer& s) {
                    s.add_uint64(1, 7);
                    s.add_double(2, 3.5);
                    s.add_message(3, message([](pbf_writer& q) {
                                    q.add_double(1, 0.5);
                                    q.add_double(2, 9);
                                  }));
                  }));
  });
  EXPECT_THAT(describe(family("s", 2, {summary})),
              HasSubstr("s{quantile=\"0.5\"} s{quantile=\"0.5\"} 9\ns_sum s_sum 3.5\ns_count s_count 7\n"));
}

std::string histogram(bool classic, bool native) {
  return message([&](pbf_writer& w) {
    w.add_message(7, message([&](pbf_writer& h) {
                    h.add_uint64(1, 10);
                    h.add_double(2, 20);
                    if (classic) {
                      for (const auto& [bound, count] : {std::pair(1.0, 4), std::pair(2.5, 4), std::pair(1e-5, 9)}) {
                        h.add_message(3, message([&](pbf_writer& b) {
                                        b.add_uint64(1, static_cast<std::uint64_t>(count));
                                        b.add_double(2, bound);
                                      }));
                      }
                    }
                    if (native) {
                      h.add_sint32(5, 3);
                      h.add_double(6, 0.001);
                      h.add_uint64(7, 2);
                      h.add_message(9, message([](pbf_writer& s) {
                                      s.add_sint32(1, 0);
                                      s.add_uint32(2, 1);
                                    }));
                      const std::int64_t negative[] = {1};
                      h.add_packed_sint64(10, std::begin(negative), std::end(negative));
                      h.add_message(12, message([](pbf_writer& s) {
                                      s.add_sint32(1, -2);
                                      s.add_uint32(2, 3);
                                    }));
                      const std::int64_t positive[] = {1, 1, 2};
                      h.add_packed_sint64(13, std::begin(positive), std::end(positive));
                    }
                  }));
  });
}

TEST(ProtoParser, reads_both_kinds_of_histograms) {
  const std::string body = family("h", 4, {histogram(true, true)});
  const std::string classic =
      "h_bucket{le=\"1.0\"} h_bucket{le=\"1.0\"} 4\nh_bucket{le=\"2.5\"} h_bucket{le=\"2.5\"} 4\n"
      "h_bucket{le=\"1e-05\"} h_bucket{le=\"1e-05\"} 9\nh_bucket{le=\"+Inf\"} h_bucket{le=\"+Inf\"} 10\n"
      "h_sum h_sum 20\nh_count h_count 10\n";
  const std::string native = "h#histogram h schema 3 count 10 sum 20 zero 2 [1 2 4 ] [1 ] bounds [] integer\n";
  const std::string head = "TYPE h histogram\nHELP Help of h\n";
  EXPECT_EQ(describe(body), head + classic);
  EXPECT_EQ(describe(body, {.native_histograms = true}), head + native);
  EXPECT_EQ(describe(body, {.native_histograms = true, .classic_histograms = true}), head + classic + native);
  // Without buckets there is nothing else to show.
  EXPECT_THAT(describe(family("h", 4, {histogram(false, true)}), {.native_histograms = true}), HasSubstr(native));
}

TEST(ProtoParser, converts_classic_histograms_where_asked) {
  const std::string one = message([](pbf_writer& w) {
    w.add_message(7, message([](pbf_writer& h) {
                    h.add_uint64(1, 10);
                    h.add_double(2, 20);
                    for (const auto& [bound, count] : {std::pair(1.0, 4), std::pair(2.0, 4), std::pair(3.0, 9),
                                                       std::pair(std::numeric_limits<double>::infinity(), 10)}) {
                      h.add_message(3, message([&](pbf_writer& b) {
                                      b.add_uint64(1, static_cast<std::uint64_t>(count));
                                      b.add_double(2, bound);
                                    }));
                    }
                  }));
  });
  EXPECT_EQ(describe(family("h", 4, {one}), {.classic_to_native = true}),
            "TYPE h histogram\nHELP Help of h\n"
            "h#histogram h schema -53 count 10 sum 20 zero 0 [4 5 1 ] [] bounds [1 2 3 ] integer\n");
}

TEST(ProtoParser, tells_exemplars) {
  const auto exemplar = [](double value, bool timed) {
    return labels({{"trace_id", "abc"}}) + message([&](pbf_writer& w) {
             w.add_double(2, value);
             if (!timed) return;
             w.add_message(3, message([](pbf_writer& t) {
                             t.add_int64(1, 7);
                             t.add_int32(2, 250'000'000);
                           }));
           });
  };
  const std::string counter = message([&](pbf_writer& w) {
    w.add_message(3, message([&](pbf_writer& c) {
                    c.add_double(1, 5);
                    c.add_message(2, exemplar(0.5, true));
                  }));
  });
  const std::string histogram = message([&](pbf_writer& w) {
    w.add_message(7, message([&](pbf_writer& h) {
                    h.add_uint64(1, 1);
                    h.add_message(12, message([](pbf_writer& s) { s.add_uint32(2, 1); }));
                    const std::int64_t deltas[] = {1};
                    h.add_packed_sint64(13, std::begin(deltas), std::end(deltas));
                    h.add_message(16, exemplar(1, true));
                    h.add_message(16, exemplar(2, false));
                  }));
  });
  const std::string body = family("c", 0, {counter}) + family("h", 4, {histogram});
  ProtoParser parser(body, {.native_histograms = true});
  std::string told;
  for (auto event = parser.next(); event && *event != Event::kEof; event = parser.next()) {
    if (*event != Event::kSeries && *event != Event::kHistogram) continue;
    for (const auto& one : parser.exemplars()) {
      told += std::string(parser.series()) + " " + one.labels.to_string() + " " + std::to_string(one.value) + " " +
              (one.timestamp_ms ? std::to_string(*one.timestamp_ms) : "-") + "\n";
    }
  }
  EXPECT_EQ(told,
            "c {trace_id=\"abc\"} 0.500000 7250\nh#histogram {trace_id=\"abc\"} 1.000000 7250\n"
            "h#histogram {trace_id=\"abc\"} 2.000000 -\n");
}

TEST(ProtoParser, refuses_what_is_no_message) {
  const std::string good = family("g", 1, {value_of(2, 1)});
  for (std::size_t size = 1; size < good.size(); ++size) {
    EXPECT_THAT(describe(good.substr(0, size)), HasSubstr("message 1: ")) << size;
  }
  EXPECT_THAT(describe("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), HasSubstr("message 1: "));
  EXPECT_THAT(describe(family("", 1, {})), HasSubstr("without a name"));
  EXPECT_THAT(describe(family("g", 1, {value_of(2, 1, 0, {{"a", "1"}, {"a", "2"}})})), HasSubstr("the label a twice"));
  EXPECT_THAT(describe(family("g", 1, {value_of(2, 1, 0, {{"", "1"}})})), HasSubstr("a label that is none"));
  const std::string own = labels({{"le", "1"}}) + histogram(true, false);
  EXPECT_THAT(describe(family("h", 4, {own})), HasSubstr("the label le"));
  EXPECT_EQ(describe(""), "");
}

}  // namespace
}  // namespace qd::model::exposition
