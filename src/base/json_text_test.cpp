#include "base/json_text.h"

#include <gtest/gtest.h>

namespace qd::base {
namespace {

TEST(JsonText, escapes_what_json_does_not_take_as_it_is) {
  EXPECT_EQ(json_text(""), "\"\"");
  EXPECT_EQ(json_text("plain ü\x7f"), "\"plain ü\x7f\"");
  EXPECT_EQ(json_text("a\"b\\c\nd\re\tf"), R"("a\"b\\c\nd\re\tf")");
  EXPECT_EQ(json_text(std::string_view("\0\x1f", 2)), R"("\u0000\u001f")");
}

TEST(JsonText, bytes_that_are_no_text_are_replaced_one_by_one) {
  EXPECT_EQ(json_text("ok\xff\xc3z"), R"("ok\ufffd\ufffdz")");
}

}  // namespace
}  // namespace qd::base
