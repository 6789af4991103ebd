// Alertmanager's matchers.
//
// Besides not failing on any bytes: what is accepted is read the same again once all of it stands in quotes and braces,
// and each matcher alone is what it is among others.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "act/notify/alertmanager_matchers.h"
#include "base/assert.h"
#include "base/strings.h"
#include "input.h"

namespace {

using qd::model::Matcher;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out + '"';
}

std::string written(const Matcher& matcher) {
  static constexpr std::string_view kSigns[] = {"=", "!=", "=~", "!~"};
  return quoted(matcher.name()) + std::string(kSigns[static_cast<std::size_t>(matcher.kind())]) +
         quoted(matcher.value());
}

void check_same(const Matcher& a, const Matcher& b, const std::string& text) {
  QD_ASSERT(a.kind() == b.kind() && a.name() == b.name() && a.value() == b.value(), text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qd::act::notify;
  const std::string_view text = qd::fuzz::Input(data, size).text();
  if (const auto one = matcher_of(text); !one) QD_ASSERT(!one.error().message().empty());
  const auto matchers = matchers_of(text);
  if (!matchers) {
    QD_ASSERT(!matchers.error().message().empty());
    return 0;
  }
  std::string all = "{";
  for (const Matcher& matcher : *matchers) {
    QD_ASSERT(!matcher.name().empty());
    QD_ASSERT(qd::base::valid_utf8(matcher.name()) && qd::base::valid_utf8(matcher.value()));
    const std::string alone = written(matcher);
    const auto again = matcher_of(alone);
    QD_ASSERT(again.has_value(), alone);
    check_same(matcher, *again, alone);
    all += alone + ',';
  }
  all += '}';
  const auto again = matchers_of(all);
  QD_ASSERT(again.has_value() && again->size() == matchers->size(), all);
  for (std::size_t i = 0; i < matchers->size(); ++i) check_same((*matchers)[i], (*again)[i], all);
  return 0;
}
