#include "model/config/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/format.h"
#include "base/strings.h"

namespace qd::model::config {
namespace {

// Whether a plain scalar of this text is read back as this text.
bool can_be_plain(std::string_view text) {
  if (text.empty() || text.back() == ':') return false;
  if (text == "...") return false;  // at the start of a line it ends the document
  if (text == "null" || text == "Null" || text == "NULL") return false;
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const char first = text.front();
  if (!letter_or_digit(first) && first != '/' && first != '_' && first != '.') return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return letter_or_digit(c) || std::string_view("_./-+@:").find(c) != std::string_view::npos;
  });
}

// Whether a plain scalar of this text would be read as something else than a text.
bool looks_like_another_type(std::string_view text) {
  const Node plain = Node::scalar(std::string(text));
  if (plain.as_bool() || plain.as_double() || plain.as_int()) return true;
  for (const std::string_view word : {"y", "Y", "n", "N"})
    if (text == word) return true;
  // YAML 1.1 readers take dates, numbers in base 60 and numbers with underscores for more than a text.
  return (text.front() >= '0' && text.front() <= '9') || text.front() == '.';
}

std::string in_double_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (byte < 0x20 || byte == 0x7f) {
      base::append_format(out, "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

std::string scalar_text(const Node& node) {
  const std::string& text = node.text();
  const bool plain_is_safe = can_be_plain(text);
  if (node.style() == Node::Style::kPlain && plain_is_safe) return text;
  if (node.style() == Node::Style::kPlain && node.as_double()) return text;  // -1, +Inf
  if (plain_is_safe && !looks_like_another_type(text)) return text;
  return in_double_quotes(text);
}

void append_inline(std::string& out, const Node& node) {
  switch (node.kind()) {
    case Node::Kind::kNull:
      out.append("null");
      return;
    case Node::Kind::kScalar:
      out.append(scalar_text(node));
      return;
    case Node::Kind::kSequence:
      out.push_back('[');
      for (std::size_t i = 0; i < node.items().size(); ++i) {
        if (i > 0) out.append(", ");
        append_inline(out, node.items()[i]);
      }
      out.push_back(']');
      return;
    case Node::Kind::kMapping:
      out.push_back('{');
      for (std::size_t i = 0; i < node.entries().size(); ++i) {
        if (i > 0) out.append(", ");
        append_inline(out, node.entries()[i].key);
        out.append(": ");
        append_inline(out, node.entries()[i].value);
      }
      out.push_back('}');
      return;
  }
}

bool fits_on_the_line(const Node& node) {
  return (!node.is_sequence() || node.items().empty()) && (!node.is_mapping() || node.entries().empty());
}

void append_block(std::string& out, const Node& node, std::size_t indent) {
  const std::string margin(indent, ' ');
  bool first = true;
  if (node.is_mapping()) {
    for (const auto& [key, value] : node.entries()) {
      if (!std::exchange(first, false)) out.append(margin);
      out.append(scalar_text(key));
      if (fits_on_the_line(value)) {
        out.append(": ");
        append_inline(out, value);
        out.push_back('\n');
      } else {
        out.append(":\n");
        out.append(indent + 2, ' ');
        append_block(out, value, indent + 2);
      }
    }
    return;
  }
  for (const Node& item : node.items()) {
    if (!std::exchange(first, false)) out.append(margin);
    out.append("- ");
    if (fits_on_the_line(item)) {
      append_inline(out, item);
      out.push_back('\n');
    } else {
      append_block(out, item, indent + 2);
    }
  }
}

std::string in_table(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out.push_back('\\');
    out.push_back(c == '\n' ? ' ' : c);
  }
  return out;
}

std::string in_code(std::string_view text) {
  return text.empty() ? "" : fmt::format("`{}`", in_table(text));
}

// The settings of a schema by section, each list or mapping followed by the settings of its items.
void append_reference(std::string& out, const Schema& schema, const std::string& prefix) {
  std::vector<std::string> sections;
  const auto section_of = [](const Setting& setting) {
    const auto dot = setting.path().rfind('.');
    return dot == std::string::npos ? std::string() : setting.path().substr(0, dot);
  };
  for (const Setting& setting : schema.settings())
    if (std::find(sections.begin(), sections.end(), section_of(setting)) == sections.end())
      sections.push_back(section_of(setting));
  // What is in no section stands first, since its title at the top is the document's.
  if (const auto root = std::find(sections.begin(), sections.end(), ""); root != sections.end())
    std::rotate(sections.begin(), root, root + 1);

  for (const std::string& section : sections) {
    std::string title = prefix;
    if (!prefix.empty() && !section.empty()) title += ".";
    title += section;
    if (!title.empty()) base::append_format(out, "\n## {}\n", title);
    if (const auto it = schema.sections().find(section); it != schema.sections().end() && !it->second.empty())
      base::append_format(out, "\n{}\n", it->second);
    out.append("\n| key | default | type | reload | what it does |\n|---|---|---|---|---|\n");
    for (const Setting& setting : schema.settings()) {
      if (section_of(setting) != section) continue;
      std::string help = in_table(setting.help());
      if (!setting.example_text().empty()) help += fmt::format(" Example: {}", in_code(setting.example_text()));
      base::append_format(out, "| `{}` | {} | {} | {} | {} |\n",
                          setting.path().substr(section.empty() ? 0 : section.size() + 1),
                          setting.is_required() ? "required" : in_code(setting.default_text()),
                          in_table(setting.type()), setting.is_only_at_start() ? "no" : "yes", help);
    }
    for (const Setting& setting : schema.settings()) {
      if (section_of(setting) != section) continue;
      Schema item;
      if (!setting.describe_item(item)) continue;
      const std::string items = setting.type() == "mappings by name" ? ".NAME" : "[]";
      append_reference(out, item, (prefix.empty() ? "" : prefix + ".") + setting.path() + items);
    }
  }
}

}  // namespace

std::string render_inline(const Node& node) {
  std::string out;
  append_inline(out, node);
  return out;
}

std::string render_yaml(const Node& node) {
  std::string out;
  if (fits_on_the_line(node)) {
    append_inline(out, node);
    out.push_back('\n');
  } else {
    append_block(out, node, 0);
  }
  return out;
}

std::string render_effective(const Schema& schema) {
  return render_yaml(schema.effective());
}

std::string render_reference(const Schema& schema) {
  std::string out =
      "# Configuration\n"
      "\n"
      "Every setting, as the program itself declares it; `quarterdeck` refuses keys that do not stand here.\n"
      "\n"
      "A setting is taken from the configuration file, then from the environment, then from `--set path=value`, then "
      "from the flags of the command line; the last one that has it wins. The name in the environment is the path in "
      "capitals with underscores behind `QUARTERDECK_`: `observe.host.procfs` is `QUARTERDECK_OBSERVE_HOST_PROCFS`. "
      "There and in `--set`, a list of texts is separated by commas, and lists and mappings are written as YAML on one "
      "line.\n"
      "\n"
      "Durations are numbers with the units y, w, d, h, m, s and ms (`1h30m`); sizes take KB, MB, GB, TB or KiB, MiB, "
      "and so on, all of them powers of 1024. A secret is `file:/path` (the content of that file), `env:NAME` (a "
      "variable of the environment) or the secret itself; it is never printed. Where the column *reload* says no, a "
      "changed value needs a restart.\n";
  append_reference(out, schema, "");
  return out;
}

}  // namespace qd::model::config
