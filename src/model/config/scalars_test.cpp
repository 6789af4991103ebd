#include "model/config/scalars.h"

#include <gtest/gtest.h>

namespace qd::model::config {
namespace {

std::string literal(std::string_view header, std::string_view raw) {
  return read_block(header, raw, false, 0).value_or("refused");
}
std::string folded(std::string_view header, std::string_view raw) {
  return read_block(header, raw, true, 0).value_or("refused");
}

TEST(SingleQuoted, folds_lines_and_joins_quotes) {
  EXPECT_EQ(unquote_single("it''s"), "it's");
  EXPECT_EQ(unquote_single("''''"), "''");
  EXPECT_EQ(unquote_single(" a \n b\n\n\n c "), " a b\n\nc ");
  EXPECT_EQ(unquote_single("\n\n"), "\n");
}

TEST(Block, the_header_says_what_happens_to_the_breaks_at_the_end) {
  EXPECT_EQ(literal(": |", "  a\n   b\n\n"), "a\n b\n");
  EXPECT_EQ(literal(": |-", "  a\n   b\n\n"), "a\n b");
  EXPECT_EQ(literal(": |+", "  a\n   b\n\n  "), "a\n b\n\n");
  EXPECT_EQ(literal(": | # not |-", "  a\n"), "a\n");
  EXPECT_EQ(literal("\"|#\": |-\r", "  a\r\n  b\r\n"), "a\nb");
  EXPECT_EQ(literal(": |", ""), "");
  EXPECT_EQ(literal(": |", "\n \n"), "");
  EXPECT_EQ(literal(": |+", "\n\n"), "\n\n");
}

TEST(Block, the_indentation_is_that_of_the_first_line_or_given) {
  EXPECT_EQ(literal(": |", "\n    a\n      b\n     \n"), "\na\n  b\n \n");
  EXPECT_EQ(literal(": |2", "    a\n  b\n"), "  a\nb\n");
  EXPECT_EQ(read_block("- |1-", "    a\n", false, 2), " a");
  EXPECT_EQ(literal(": |", "   a\n  b\n"), "refused");
  EXPECT_EQ(literal(": |", "  a\n  \tb\n"), "a\n\tb\n");
}

// YAML 1.2.2, examples 8.10 to 8.12.
TEST(Block, folding_spares_lines_that_stand_deeper) {
  EXPECT_EQ(folded(": >", "\n folded\n line\n\n next\n line\n   * bullet\n\n   * list\n   * lines\n\n last\n line\n\n"),
            "\nfolded line\nnext line\n  * bullet\n\n  * list\n  * lines\n\nlast line\n");
  EXPECT_EQ(folded(": >-", "  a\n  b\n\n\n  c\n"), "a b\n\nc");
  EXPECT_EQ(folded(": >+", "  a\n\n"), "a\n\n");
}

}  // namespace
}  // namespace qd::model::config
