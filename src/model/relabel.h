// Relabelling: rules that rewrite or drop a set of labels, as Prometheus's relabel_configs do.
//
//   QD_ASSIGN(const Relabeller rules, Relabeller::compile(configs, NameScheme::kUtf8));
//   LabelBuilder labels(found);
//   if (!rules.apply(labels)) return;  // dropped
//
// Source: prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config. Patterns are RE2, anchored
// at both ends, and a dot matches a line break. Templates ($1, ${name}, $$) are those of Go's regexp.Expand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"

namespace qd::model {

enum class RelabelAction : std::uint8_t {
  kReplace,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
  kLowercase,
  kUppercase,
};

// "replace", "keepequal", …; any case is read.
std::string_view to_string(RelabelAction action);
std::optional<RelabelAction> parse_relabel_action(std::string_view text);

// Which names metrics and labels may have: any UTF-8, or what Prometheus 2 allowed.
enum class NameScheme : std::uint8_t { kUtf8, kLegacy };

struct RelabelConfig {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";
  std::uint64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  RelabelAction action = RelabelAction::kReplace;
  bool operator==(const RelabelConfig&) const = default;
};

// kInvalid with what Prometheus refuses: a field that the action needs or must not have, a name that is none, a pattern
// that does not compile.
base::Status validate(const RelabelConfig& config, NameScheme scheme);

// Immutable; any number of threads may use it at once. Cheap to copy.
class Relabeller {
 public:
  // Changes nothing.
  Relabeller() = default;
  // As validate of each.
  static base::Result<Relabeller> compile(std::span<const RelabelConfig> configs, NameScheme scheme);

  // False: the labels are dropped, and what they are now means nothing.
  bool apply(LabelBuilder& labels) const;
  // The rule at `index` alone.
  bool apply_one(std::size_t index, LabelBuilder& labels) const;
  std::size_t size() const;
  bool empty() const { return size() == 0; }

 private:
  struct Rule;
  std::shared_ptr<const std::vector<Rule>> rules_;
};

}  // namespace qd::model
