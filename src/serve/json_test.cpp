#include "serve/json.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>

namespace qd::serve {
namespace {

TEST(json_writer, puts_commas_where_they_belong) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("a", "x").key("b").begin_array().integer(-1).number(0.5).boolean(true).null().end_array();
  json.key("c").begin_object().end_object().key("d").unsigned_integer(18446744073709551615U).end_object();
  EXPECT_EQ(out, R"({"a":"x","b":[-1,0.5,true,null],"c":{},"d":18446744073709551615})");
}

TEST(json_writer, escapes_what_json_wants_escaped) {
  std::string out;
  JsonWriter(out).text(std::string_view("a\"b\\c\n\t\x01\0z grün", 16));
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\t\\u0001\\u0000z grün\"");
  EXPECT_EQ(boost::json::parse(out).as_string().size(), 16u);
}

TEST(json_writer, writes_valid_json_for_bytes_that_are_no_utf8) {
  std::string out;
  JsonWriter(out).text("ok\xff\xfez");
  EXPECT_EQ(out, "\"ok\\ufffd\\ufffdz\"");
}

TEST(json_writer, writes_null_for_what_json_has_no_number_for) {
  std::string out;
  JsonWriter(out).begin_array().number(NAN).number(INFINITY).end_array();
  EXPECT_EQ(out, "[null,null]");
}

}  // namespace
}  // namespace qd::serve
