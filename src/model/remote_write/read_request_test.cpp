#include "model/remote_write/read_request.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "model/remote_write/write_request.h"

namespace qd::model::remote_write {
namespace {

using base::ErrorCode;

TEST(ReadRequest, reads_what_it_wrote) {
  ReadRequest request;
  request.queries.push_back({.from_ms = -5,
                             .to_ms = 1'700'000'000'000,
                             .matchers = {Matcher::equal("__name__", "up"),
                                          Matcher::create(Matcher::Kind::kNotRegex, "job", "a|b").value()}});
  request.streamed = true;
  const auto again = read_read_request(write_read_request(request));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->streamed);
  ASSERT_EQ(again->queries.size(), 1U);
  EXPECT_EQ(again->queries[0].from_ms, -5);
  EXPECT_EQ(again->queries[0].to_ms, 1'700'000'000'000);
  ASSERT_EQ(again->queries[0].matchers.size(), 2U);
  EXPECT_EQ(again->queries[0].matchers[0].to_string(), "__name__=\"up\"");
  EXPECT_EQ(again->queries[0].matchers[1].to_string(), "job!~\"a|b\"");
}

TEST(ReadRequest, the_first_type_that_is_known_is_taken) {
  const std::string query = write_read_request({.queries = {{.matchers = {Matcher::equal("a", "b")}}}});
  EXPECT_FALSE(read_read_request(query)->streamed);
  EXPECT_TRUE(read_read_request(query + std::string("\x12\x02\x01\x00", 4))->streamed) << "packed: chunks, samples";
  EXPECT_FALSE(read_read_request(query + std::string("\x10\x00\x10\x01", 4))->streamed);
  EXPECT_TRUE(read_read_request(query + std::string("\x10\x07\x10\x01", 4))->streamed) << "7 is not known";
}

TEST(ReadRequest, what_is_no_request_is_refused_in_words) {
  const auto code = [](const std::string& message) {
    const auto read = read_read_request(message);
    return read ? ErrorCode::kInternal : read.error().code();
  };
  EXPECT_EQ(code(""), ErrorCode::kInvalid) << "no query";
  EXPECT_EQ(code("\x0a\x00"), ErrorCode::kInvalid) << "no matcher";
  EXPECT_EQ(code("\x0a\x7f"), ErrorCode::kInvalid) << "cut";
  const std::string bad_regex(
      "\x0a\x0a\x1a\x08\x08\x02\x12\x01"
      "a\x1a\x01(",
      12);
  EXPECT_EQ(code(bad_regex), ErrorCode::kInvalid);
  const std::string kind_9(
      "\x0a\x09\x1a\x07\x08\x09\x12\x01"
      "a\x1a\x00",
      11);
  EXPECT_EQ(code(kind_9), ErrorCode::kInvalid);
  std::string many;
  for (std::size_t i = 0; i <= kReadQueriesMax; ++i)
    many += write_read_request({.queries = {{.matchers = {Matcher::equal("a", "b")}}}});
  EXPECT_EQ(code(many), ErrorCode::kLimit);
}

TEST(ReadRequest, a_frame_is_length_checksum_and_message) {
  std::string out;
  append_frame(out, encode_labels(LabelSet{{"__name__", "a"}}), {{.min_ms = 1, .max_ms = 2, .data = "xyz"}}, 3);
  const auto length = static_cast<unsigned char>(out[0]);
  ASSERT_EQ(out.size(), 1U + 4U + length);
  const std::string_view message = std::string_view(out).substr(5);
  std::uint32_t crc = 0;
  for (int i = 1; i <= 4; ++i) crc = crc << 8 | static_cast<unsigned char>(out[static_cast<std::size_t>(i)]);
  EXPECT_EQ(crc, base::crc32c(base::as_bytes(message)));
  EXPECT_NE(message.find("xyz"), std::string_view::npos);
  EXPECT_TRUE(message.ends_with(std::string("\x10\x03"))) << "the query's number";
}

}  // namespace
}  // namespace qd::model::remote_write
