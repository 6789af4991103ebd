// Templates: any text parses or is refused, and what parses renders within its limits.

#include <cstdint>
#include <string>

#include "base/assert.h"
#include "input.h"
#include "model/template/template.h"

namespace {

using namespace qd::model::tmpl;

const Value& dot() {
  static const Value value = Map{
      {"Labels", Map{{"job", "node"}, {"instance", "a<b>&\"c\""}, {"empty", ""}}},
      {"Value", 1234.5678},
      {"Count", 3},
      {"Firing", true},
      {"At", Time{1'435'065'584'128'000'000}},
      {"Took", Duration{-5'400'500'000'000}},
      {"Nothing", Value()},
      {"Alerts", List{Map{{"Labels", Map{{"alertname", "A"}}}, {"Value", -0.0}}, Map{{"Value", 1e300}}, Value()}},
      {"Words", List{"one", "two", "three"}},
      {"Numbers", List{1, 2.5, std::int64_t{1} << 62, -1}},
  };
  return value;
}

Functions functions() {
  return {{"first", [](std::span<const Value> args) -> qd::base::Result<Value> {
             if (args.size() != 1 || args[0].list() == nullptr || args[0].list()->empty()) {
               return qd::base::fail(qd::base::ErrorCode::kInvalid, "first wants a list");
             }
             return args[0].list()->front();
           }}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(qd::fuzz::Input(data, size).text());
  const auto parsed = Template::parse("fuzz", text, functions());
  if (!parsed) {
    QD_ASSERT(!parsed.error().message().empty());
    return 0;
  }
  const Limits limits{.output_bytes = 10'000, .steps = 10'000, .depth = 50};
  const auto rendered = parsed->render(dot(), limits);
  if (!rendered) {
    QD_ASSERT(!rendered.error().message().empty());
    return 0;
  }
  QD_ASSERT(rendered->size() <= limits.output_bytes);
  // Text without an action stands for itself.
  if (text.find("{{") == std::string::npos) QD_ASSERT(*rendered == text);
  return 0;
}
