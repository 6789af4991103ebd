// PromQL: what parses, printed, parses again and prints the same.

#include <cstdint>
#include <string>

#include "base/assert.h"
#include "input.h"
#include "query/promql/ast.h"
#include "query/promql/parser.h"

namespace {

using namespace qd::query::promql;

void check(std::string_view text, const ParseOptions& options) {
  const auto tree = parse(text, options);
  if (!tree) {
    QD_ASSERT(!tree.error().message().empty());
    return;
  }
  const std::string printed = to_string(**tree);
  const auto again = parse(printed, options);
  QD_ASSERT(again.has_value(), again.error().message() + ": " + printed);
  const std::string reprinted = to_string(**again);
  QD_ASSERT(reprinted == printed, printed + " | " + reprinted);
  QD_ASSERT((*again)->type == (*tree)->type, printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = qd::fuzz::Input(data, size).text();
  check(text, {});
  check(text, {.experimental = true});
  static_cast<void>(parse_matchers(text));
  return 0;
}
