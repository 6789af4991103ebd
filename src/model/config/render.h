// Configuration as text: what is in effect, and what there is.
#pragma once

#include <string>

#include "model/config/node.h"
#include "model/config/schema.h"

namespace qd::model::config {

// Block YAML that parse_yaml reads back to the same tree, but for places; quoted only where plain would mean another
// thing. Ends in a newline.
std::string render_yaml(const Node& node);
// The same in flow style on one line: "[a, b]".
std::string render_inline(const Node& node);

// The effective configuration of a schema that was loaded, as YAML. Secrets are <secret>.
std::string render_effective(const Schema& schema);

// docs/configuration.md: every setting by section, with default, type, whether a reload applies it, and what it does.
// The schema is declared but not loaded.
std::string render_reference(const Schema& schema);

}  // namespace qd::model::config
