// Configuration files: what parses stays within the limits, and its rendering parses back to the same tree.

#include <cstdint>
#include <string>

#include "base/assert.h"
#include "input.h"
#include "model/config/node.h"
#include "model/config/render.h"

namespace {

using namespace qd::model::config;

void read_all(const Node& node) {
  // Which of these fail is the text's affair; none may do worse than fail.
  static_cast<void>(node.as_string());
  static_cast<void>(node.as_bool());
  static_cast<void>(node.as_int());
  static_cast<void>(node.as_double());
  static_cast<void>(node.as_duration_ms());
  static_cast<void>(node.as_bytes());
  for (const Node& item : node.items()) read_all(item);
  for (const auto& entry : node.entries()) {
    QD_ASSERT(entry.key.is_scalar());
    QD_ASSERT(node.find(entry.key.text()) != nullptr);
    read_all(entry.value);
  }
}

bool same(const Node& a, const Node& b) {
  if (a.kind() != b.kind() || a.text() != b.text()) return false;
  if (a.items().size() != b.items().size() || a.entries().size() != b.entries().size()) return false;
  for (std::size_t i = 0; i < a.items().size(); ++i) {
    if (!same(a.items()[i], b.items()[i])) return false;
  }
  for (std::size_t i = 0; i < a.entries().size(); ++i) {
    if (a.entries()[i].key.text() != b.entries()[i].key.text()) return false;
    if (!same(a.entries()[i].value, b.entries()[i].value)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = qd::fuzz::Input(data, size).text();
  const auto node = parse_yaml(text, "fuzz.yaml");
  if (!node) {
    QD_ASSERT(!node.error().message().empty());
    return 0;
  }
  QD_ASSERT(node->weight() <= kYamlNodesMax);
  QD_ASSERT(node->depth() <= kYamlDepthMax);
  // Aliases repeat: a small text may be a large tree.
  if (node->weight() > 2000) return 0;
  read_all(*node);
  const std::string rendered = render_yaml(*node);
  const auto again = parse_yaml(rendered, "rendered.yaml");
  QD_ASSERT(again.has_value(), again.error().message() + "\n" + rendered);
  QD_ASSERT(same(*node, *again), rendered);
  return 0;
}
