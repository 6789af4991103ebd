#include "connect/http/message.h"

#include <gtest/gtest.h>

#include "connect/http/encoding.h"

namespace qd::connect::http {
namespace {

TEST(Message, header_names_compare_without_case) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  headers.add("Connection", "Keep-Alive, upgrade");
  EXPECT_EQ(headers.get("content-TYPE"), "text/plain");
  EXPECT_TRUE(headers.lists("connection", "UPGRADE"));
  EXPECT_FALSE(headers.lists("connection", "up"));
  headers.set("CONTENT-type", "a");
  EXPECT_EQ(headers.get("Content-Type"), "a");
  EXPECT_EQ(headers.size(), 2u);
}

TEST(Message, percent_decoding_refuses_broken_escapes) {
  EXPECT_EQ(percent_decode("a%20b+c%2f", false), "a b+c/");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
  for (const auto* bad : {"%", "%2", "%zz", "a%2"}) EXPECT_EQ(percent_decode(bad, false), std::nullopt) << bad;
}

TEST(Message, percent_encoding_comes_back) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(percent_decode(percent_encode(all), false), all);
  EXPECT_EQ(percent_encode("a b/~"), "a%20b%2F~");
}

TEST(Message, a_query_keeps_order_repeats_and_empty_values) {
  const auto query = parse_query("match[]=a&match%5B%5D=b%3D1&&flag&x=");
  ASSERT_TRUE(query);
  ASSERT_EQ(query->size(), 4u);
  EXPECT_EQ((*query)[0].name, "match[]");
  EXPECT_EQ((*query)[1].value, "b=1");
  EXPECT_EQ((*query)[2].name, "flag");
  EXPECT_EQ((*query)[3].value, "");
  EXPECT_FALSE(parse_query("a=%q"));
}

TEST(Message, a_query_of_too_many_parameters_is_refused) {
  std::string text;
  for (std::size_t i = 0; i < kParametersMax; ++i) text += "a&";
  EXPECT_TRUE(parse_query(text));
  EXPECT_FALSE(parse_query(text + "a"));
}

TEST(Message, parameters_of_the_form_come_before_those_of_the_query) {
  const Request request{.query = {{"q", "query"}, {"only", "1"}}, .form = {{"q", "form"}}};
  EXPECT_EQ(request.param("q"), "form");
  EXPECT_EQ(request.param("only"), "1");
  EXPECT_EQ(request.param("none"), std::nullopt);
  EXPECT_EQ(request.params("q"), (std::vector<std::string_view>{"form", "query"}));
}

TEST(Encoding, accept_encoding_heeds_refusals) {
  EXPECT_TRUE(parse_accept_encoding("gzip, deflate, br").gzip);
  EXPECT_TRUE(parse_accept_encoding("gzip, deflate, br").brotli);
  EXPECT_FALSE(parse_accept_encoding("gzip;q=0, br").gzip);
  EXPECT_FALSE(parse_accept_encoding("GZIP; Q=0.000").gzip);
  EXPECT_TRUE(parse_accept_encoding("gzip;q=0.001").gzip);
  EXPECT_TRUE(parse_accept_encoding("*").gzip);
  EXPECT_FALSE(parse_accept_encoding("*, gzip;q=0").gzip);
  EXPECT_FALSE(parse_accept_encoding("identity").gzip);
  EXPECT_FALSE(parse_accept_encoding("").gzip);
}

TEST(Encoding, gzip_comes_back_and_damage_and_bombs_are_refused) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i);
  const auto packed = gzip(text);
  EXPECT_LT(packed.size(), text.size() / 2);
  EXPECT_EQ(gunzip(packed, text.size()), text);
  EXPECT_EQ(gunzip(packed, text.size() - 1).error().code(), base::ErrorCode::kLimit);
  EXPECT_EQ(gunzip(packed.substr(0, packed.size() - 1), text.size()).error().code(), base::ErrorCode::kInvalid);
  EXPECT_EQ(gunzip("nonsense", 100).error().code(), base::ErrorCode::kInvalid);
  EXPECT_EQ(gunzip(gzip(""), 100), "");
}

TEST(Encoding, a_stream_of_pieces_is_one_member) {
  GzipStream stream;
  std::string packed, text;
  for (int i = 0; i < 1000; ++i) {
    const auto piece = std::to_string(i) + ",";
    text += piece;
    stream.append(piece, i == 999, packed);
  }
  EXPECT_EQ(gunzip(packed, text.size()), text);
}

}  // namespace
}  // namespace qd::connect::http
