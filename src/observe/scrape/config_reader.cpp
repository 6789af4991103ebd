#include "observe/scrape/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/strings.h"

namespace qd::observe::scrape {

namespace fs = std::filesystem;
using base::ErrorCode;
using model::config::Node;

namespace {

// $$, $NAME and ${NAME}, as Prometheus expands external labels; what is not set is empty.
std::string expand_environment(std::string_view text) {
  const auto named = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::string out;
  while (true) {
    const std::size_t dollar = text.find('$');
    out.append(text.substr(0, dollar));
    if (dollar == std::string_view::npos) return out;
    text.remove_prefix(dollar + 1);
    std::string_view name;
    std::size_t used = 0;
    if (text.starts_with('{')) {
      used = std::min(text.find('}'), text.size());
      name = text.substr(1, used - 1);
      used = std::min(used + 1, text.size());
    } else {
      while (used < text.size() && named(text[used])) ++used;
      name = text.substr(0, used);
    }
    if (text.starts_with('$') || used == 0) {
      // "$$", or a dollar that begins no name.
      out.push_back('$');
      if (text.starts_with('$')) used = 1;
    } else if (const char* const value = std::getenv(std::string(name).c_str())) {
      out.append(value);
    }
    text.remove_prefix(used);
  }
}

}  // namespace

base::Status check_http_url(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return base::fail(ErrorCode::kInvalid, fmt::format("{} is no URL: {}", base::quote(text), why));
  };
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return wrong("write http://HOST/… or https://HOST/…");
  if (text.substr(0, scheme) != "http" && text.substr(0, scheme) != "https")
    return wrong("its scheme is http or https");
  const std::string_view host = text.substr(scheme + 3, text.find_first_of("/?#", scheme + 3) - scheme - 3);
  if (host.empty()) return wrong("it has no host");
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) return wrong("there is a blank in it");
  return {};
}

void Reader::fault(const Node& node, std::string_view what) {
  fault(node.error(what).message());
}

void Reader::fault(std::string message) {
  if (errors_.size() < kErrorsShown) {
    errors_.push_back(std::move(message));
  } else if (errors_.size() == kErrorsShown) {
    errors_.emplace_back("there are more errors");
  }
}

void Reader::warn(const Node& node, std::string_view what) {
  warn_text(node.error(what).message());
}

void Reader::warn_text(std::string message) {
  if (warnings_.size() < kErrorsShown) warnings_.push_back(std::move(message));
}

base::Status Reader::result() const {
  if (errors_.empty()) return {};
  std::string message;
  for (const std::string& error : errors_) message.append(message.empty() ? "" : "\n").append(error);
  return base::fail(ErrorCode::kInvalid, std::move(message));
}

Reader::Take Reader::text(std::string& into) {
  return [this, &into](const Node& n) { put(n.as_string(), into); };
}

Reader::Take Reader::flag(bool& into) {
  return [this, &into](const Node& n) { put(n.as_bool(), into); };
}

Reader::Take Reader::duration(std::int64_t& into) {
  return [this, &into](const Node& n) { put(n.as_duration_ms(), into); };
}

Reader::Take Reader::interval(std::int64_t& into) {
  return [this, &into](const Node& n) {
    put(n.as_duration_ms(), into);
    if (into <= 0) fault(n, "an interval is above zero");
  };
}

Reader::Take Reader::number(std::uint64_t& into) {
  return [this, &into](const Node& n) {
    std::int64_t value = 0;
    put(n.as_int(), value);
    if (value < 0) return fault(n, "a limit is not negative");
    into = static_cast<std::uint64_t>(value);
  };
}

Reader::Take Reader::port(std::uint16_t& into) {
  return [this, &into](const Node& n) {
    std::int64_t value = 0;
    put(n.as_int(), value);
    if (value < 0 || value > std::numeric_limits<std::uint16_t>::max())
      return fault(n, "a port is a number from 0 to 65535");
    into = static_cast<std::uint16_t>(value);
  };
}

Reader::Take Reader::path(std::string& into) {
  return [this, &into](const Node& n) {
    put(n.as_string(), into);
    into = resolve(into);
  };
}

Reader::Take Reader::texts(std::string what, std::vector<std::string>& into) {
  return [this, what = std::move(what), &into](const Node& n) {
    each(n, what, [&](const Node& item) { text(into.emplace_back())(item); });
  };
}

Reader::Take Reader::paths(std::string what, std::vector<std::string>& into) {
  return [this, what = std::move(what), &into](const Node& n) {
    each(n, what, [&](const Node& item) {
      std::string name;
      text(name)(item);
      const std::size_t star = name.find('*');
      if (star != std::string::npos && name.find('/', star) != std::string::npos) {
        return fault(item, "a pattern of " + what + " has * in its last part only");
      }
      if (!name.empty()) into.push_back(resolve(name));
    });
  };
}

Reader::Take Reader::text_map(std::string what, std::map<std::string, std::string>& into) {
  return [this, what = std::move(what), &into](const Node& n) {
    if (!n.is_mapping()) return fault(n, what + " is a mapping, but here stands " + describe(n));
    for (const Node::Entry& entry : n.entries()) text(into[entry.key.text()])(entry.value);
  };
}

Reader::Take Reader::choice(std::string& into, std::vector<std::string> choices) {
  return [this, &into, choices = std::move(choices)](const Node& n) {
    std::string given;
    put(n.as_string(), given);
    if (std::ranges::find(choices, given) == choices.end()) {
      std::string all;
      for (const std::string& one : choices) all.append(all.empty() ? "" : ", ").append(one);
      return fault(n, fmt::format("\"{}\" is none of {}", given, all));
    }
    into = std::move(given);
  };
}

Reader::Take Reader::any() const {
  return [](const Node&) {};
}

Reader::Take Reader::relabel_configs(std::string what, std::vector<model::RelabelConfig>& into,
                                     model::NameScheme scheme) {
  return [this, what = std::move(what), &into, scheme](const Node& n) {
    each(n, what, [&](const Node& item) { relabel_config(item, what, into, scheme); });
  };
}

void Reader::relabel_config(const Node& node, const std::string& what, std::vector<model::RelabelConfig>& into,
                            model::NameScheme scheme) {
  if (node.is_null()) return fault(node, "one of " + what + " is empty");
  model::RelabelConfig config;
  std::string action = "replace";
  mapping(node, "one of " + what,
          {{"source_labels", texts("source_labels", config.source_labels)},
           {"separator", text(config.separator)},
           {"regex", text(config.regex)},
           {"modulus", number(config.modulus)},
           {"target_label", text(config.target_label)},
           {"replacement", text(config.replacement)},
           {"action", text(action)}});
  // "regex:" with nothing is the empty pattern, not the default.
  if (node.is_mapping()) {
    if (const Node* const regex = node.find("regex"); regex != nullptr && regex->is_null()) config.regex.clear();
  }
  if (const auto known = model::parse_relabel_action(action)) {
    config.action = *known;
  } else {
    return fault(node, fmt::format("there is no relabel action \"{}\"", action));
  }
  if (const auto valid = model::validate(config, scheme); !valid) return fault(node, valid.error().message());
  into.push_back(std::move(config));
}

std::string Reader::resolve(const std::string& name) const {
  if (name.empty() || fs::path(name).is_absolute()) return name;
  return (dir_ / name).string();
}

void Reader::mapping(const Node& node, const std::string& what, const Keys& keys) {
  if (node.is_null()) return;
  if (!node.is_mapping()) return fault(node, what + " is a mapping, but here stands " + describe(node));
  for (const Node::Entry& entry : node.entries()) {
    const std::string& key = entry.key.text();
    if (const auto known = keys.find(key); known != keys.end()) {
      if (!entry.value.is_null()) known->second(entry.value);
      continue;
    }
    std::vector<std::string> candidates;
    candidates.reserve(keys.size());
    for (const auto& [name, take] : keys) candidates.push_back(name);
    const auto near = base::nearest(key, candidates);
    fault(entry.key, "unknown key " + key + " in " + what + (near ? "; did you mean " + *near + "?" : ""));
  }
}

void Reader::each(const Node& node, const std::string& what, const Take& take) {
  if (node.is_null()) return;
  if (!node.is_sequence()) return fault(node, what + " is a list, but here stands " + describe(node));
  for (const Node& item : node.items()) take(item);
}

void Reader::labels(const Node& node, const std::string& what, std::map<std::string, std::string>& into, bool expand) {
  if (!node.is_mapping()) return fault(node, what + " is a mapping, but here stands " + describe(node));
  for (const Node::Entry& entry : node.entries()) {
    const std::string& name = entry.key.text();
    if (name.empty() || !base::valid_utf8(name)) {
      fault(entry.key, "\"" + name + "\" is not a label name");
      continue;
    }
    std::string value;
    text(value)(entry.value);
    into[name] = expand ? expand_environment(value) : value;
  }
}

}  // namespace qd::observe::scrape
