// YAML by libfyaml's events. The tree is built here and not by libfyaml, so that aliases, merge keys, duplicate keys
// and the limits are ours: nothing is expanded before it was counted.
#include <fmt/format.h>
#include <libfyaml.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/strings.h"
#include "model/config/node.h"
#include "model/config/scalars.h"

namespace qd::model::config {
namespace {

using base::ErrorCode;
using base::Result;
using base::Status;

struct ParserDeleter {
  void operator()(fy_parser* parser) const { fy_parser_destroy(parser); }
};
struct DiagDeleter {
  void operator()(fy_diag* diag) const { fy_diag_destroy(diag); }
};

std::string_view text_of(fy_token* token) {
  if (token == nullptr) return {};
  std::size_t size = 0;
  const char* const text = fy_token_get_text(token, &size);
  return text == nullptr ? std::string_view() : std::string_view(text, size);
}

// A name from the file, cut for an error.
std::string shown(std::string_view text) {
  constexpr std::size_t kShownBytesMax = 64;
  if (text.size() <= kShownBytesMax) return std::string(text);
  std::size_t cut = kShownBytesMax;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  return fmt::format("{}...", text.substr(0, cut));
}

// Also what libfyaml takes quadratic time for: long lines of brackets (it looks ahead for a key) and of directives, and
// empty lines in a row.
constexpr std::size_t kLineBytesMax = 1024 * 1024;
constexpr std::size_t kDirectiveBytesMax = 256;
constexpr std::size_t kEmptyLinesMax = 200;

// What must hold of every line before the parser sees it; says what is wrong with it, or nothing.
std::string wrong_with_line(std::string_view line) {
  if (!base::valid_utf8(line)) return "this line is not UTF-8; save the file as UTF-8";
  if (line.size() > kLineBytesMax) return fmt::format("this line has more than {} bytes; break it", kLineBytesMax);
  if (line.starts_with('%') && line.size() > kDirectiveBytesMax)
    return fmt::format("this directive has more than {} bytes; remove it", kDirectiveBytesMax);
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r'; };
  if (std::any_of(line.begin(), line.end(), control)) return "this line holds a control character; remove it";
  return "";
}

class TreeBuilder {
 public:
  explicit TreeBuilder(std::string_view file_name) : file_(std::make_shared<const std::string>(file_name)) {}

  Result<Node> build(std::string_view text);

 private:
  // A sequence or mapping that is not closed yet.
  struct Open {
    Node::Kind kind;
    Location location;
    std::string anchor;
    std::vector<Node> items;
    std::vector<Node::Entry> entries;
    std::optional<Node> key;  // read, its value not yet
    std::unordered_map<std::string, Location> seen;
    std::optional<Node> merged;  // what stands under `<<`
    std::size_t weight = 1;
  };

  Location start_of(fy_event* event) const {
    const fy_mark* const mark = fy_event_start_mark(event);
    if (mark == nullptr) return {file_, 1, 1};
    // libfyaml's mark is behind the quote, or behind the asterisk of an alias.
    const auto style = event->type == FYET_SCALAR ? fy_token_scalar_style(event->scalar.value) : FYSS_ANY;
    const bool behind = event->type == FYET_ALIAS || style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    return {file_, static_cast<std::uint32_t>(mark->line) + 1,
            static_cast<std::uint32_t>(mark->column) + (behind && mark->column > 0 ? 0 : 1)};
  }
  static std::unexpected<base::Error> fail_at(const Location& where, ErrorCode code, std::string_view what) {
    return base::fail(code, fmt::format("{}: {}", where.to_string(), what));
  }
  static std::unexpected<base::Error> fail_at(const Location& where, std::string_view what) {
    return fail_at(where, ErrorCode::kInvalid, what);
  }

  Status handle(const fy_event& event, const Location& where);
  Status open(Node::Kind kind, const Location& where, fy_token* anchor, fy_token* tag);
  Status close();
  Status scalar(const fy_event& event, const Location& where);
  Result<std::string> read_scalar(fy_token* token, fy_scalar_style style, const Location& where);
  Status alias(std::string_view name, const Location& where);
  Status add(Node node, std::string_view anchor);
  Status set_key(Node key);
  Status merge(Open& into);
  Status count(std::size_t nodes, const Location& where);
  base::Error syntax_error(fy_diag* diag) const;

  std::shared_ptr<const std::string> file_;
  std::string_view text_;
  std::size_t token_end_ = 0;  // of the last scalar
  std::vector<Open> open_;
  std::unordered_map<std::string, std::optional<Node>> anchors_;  // nothing while the anchored node is still open
  std::size_t nodes_ = 0;
  std::size_t documents_ = 0;
  std::optional<Node> root_;
};

bool is_null_word(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

Status TreeBuilder::count(std::size_t nodes, const Location& where) {
  nodes_ += nodes;
  if (nodes_ <= kYamlNodesMax) return {};
  return fail_at(
      where, ErrorCode::kLimit,
      fmt::format("the file holds more than {} values, counting what aliases and merge keys repeat; split it",
                  kYamlNodesMax));
}

Status TreeBuilder::open(Node::Kind kind, const Location& where, fy_token* anchor, fy_token* tag) {
  const std::string_view expected_tag =
      kind == Node::Kind::kMapping ? "tag:yaml.org,2002:map" : "tag:yaml.org,2002:seq";
  if (tag != nullptr && text_of(tag) != expected_tag)
    return fail_at(where, fmt::format("the tag \"{}\" is not supported here; remove it", shown(text_of(tag))));
  if (open_.size() >= kYamlDepthMax)
    return fail_at(where, ErrorCode::kLimit, fmt::format("nested deeper than {} levels", kYamlDepthMax));
  if (!open_.empty() && open_.back().kind == Node::Kind::kMapping && !open_.back().key)
    return fail_at(where, "a key must be a text, not a list or a mapping; if this is a value in {{ }}, quote it");
  QD_TRY(count(1, where));
  Open opened;
  opened.kind = kind;
  opened.location = where;
  opened.anchor = text_of(anchor);
  if (!opened.anchor.empty()) anchors_[opened.anchor] = std::nullopt;
  open_.push_back(std::move(opened));
  return {};
}

Status TreeBuilder::close() {
  Open closed = std::move(open_.back());
  open_.pop_back();
  if (closed.kind == Node::Kind::kSequence)
    return add(Node::sequence(std::move(closed.items), closed.location), closed.anchor);
  if (closed.merged) QD_TRY(merge(closed));
  return add(Node::mapping(std::move(closed.entries), closed.location), closed.anchor);
}

Status TreeBuilder::merge(Open& into) {
  const Node& merged = *into.merged;
  const std::span<const Node> sources = merged.is_sequence() ? merged.items() : std::span(&merged, 1);
  for (const Node& source : sources) {
    if (!source.is_mapping()) {
      return fail_at(source.location(),
                     fmt::format("the merge key << takes a mapping or a list of mappings, found {}", describe(source)));
    }
    for (const Node::Entry& entry : source.entries()) {
      if (!into.seen.emplace(entry.key.text(), entry.key.location()).second) continue;
      QD_TRY(count(1 + entry.value.weight(), into.location));
      into.entries.push_back(entry);
    }
  }
  return {};
}

// The text of a scalar. Of a block, lines that do not stand deeper than what it belongs to are refused: libfyaml takes
// those that stand as deep, the keys that follow among them.
Result<std::string> TreeBuilder::read_scalar(fy_token* token, fy_scalar_style style, const Location& where) {
  if (token == nullptr) return std::string();
  const std::size_t begin = fy_token_start_mark(token)->input_pos;
  const std::size_t end = fy_token_end_mark(token)->input_pos;
  const std::size_t before = std::exchange(token_end_, end);
  if (style == FYSS_SINGLE_QUOTED) return unquote_single(text_.substr(begin, end - begin));
  if (style != FYSS_LITERAL && style != FYSS_FOLDED) return std::string(text_of(token));

  const auto indent = [](std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); };
  const std::string_view above = text_.substr(0, begin == 0 ? 0 : begin - 1);
  const std::string_view line_above = above.substr(above.rfind('\n') + 1);
  std::string_view first;
  for (std::size_t at = begin; at < end && base::trim(first).empty(); at += first.size() + 1)
    first = text_.substr(at, text_.find('\n', at) - at);
  const std::size_t outer = open_.empty() ? 0 : open_.back().location.column - 1;
  if (base::trim(first).empty() || indent(first) > (open_.empty() ? indent(line_above) : outer)) {
    const std::string_view header = above.substr(std::min(std::max(before, above.size() - line_above.size()), begin));
    auto text = read_block(header, text_.substr(begin, end - begin), style == FYSS_FOLDED, outer);
    if (text) return *std::move(text);
  }
  return fail_at(where,
                 "the lines of this text must be indented deeper than the key or dash that it belongs to, and none "
                 "less than the first; add spaces before them, or write \"\" if it is meant to be empty");
}

Status TreeBuilder::scalar(const fy_event& event, const Location& where) {
  fy_token* const token = event.scalar.value;
  const auto token_style = token == nullptr ? FYSS_PLAIN : fy_token_scalar_style(token);
  const bool plain = token_style == FYSS_PLAIN;
  QD_ASSIGN(std::string text, read_scalar(token, token_style, where));
  bool is_null = plain && is_null_word(text);
  auto style = plain ? Node::Style::kPlain : Node::Style::kQuoted;
  if (event.scalar.tag != nullptr) {
    const std::string_view tag = text_of(event.scalar.tag);
    if (tag == "tag:yaml.org,2002:str" || tag == "!") {
      style = Node::Style::kQuoted;
      is_null = false;
    } else if (tag == "tag:yaml.org,2002:null") {
      is_null = true;
    } else if (tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:float" || tag == "tag:yaml.org,2002:bool") {
      style = Node::Style::kPlain;
      is_null = false;
    } else {
      return fail_at(where, fmt::format("the tag \"{}\" is not supported; remove it", shown(tag)));
    }
  }
  QD_TRY(count(1, where));
  return add(is_null ? Node::null(where) : Node::scalar(std::move(text), style, where), text_of(event.scalar.anchor));
}

Status TreeBuilder::alias(std::string_view name, const Location& where) {
  const auto it = anchors_.find(std::string(name));
  if (it == anchors_.end())
    return fail_at(where, fmt::format("*{} refers to an anchor that does not stand above; write &{} at its value",
                                      shown(name), shown(name)));
  if (!it->second) return fail_at(where, fmt::format("*{} stands inside the value that it refers to", shown(name)));
  const Node& target = *it->second;
  QD_TRY(count(target.weight(), where));
  if (open_.size() + target.depth() > kYamlDepthMax)
    return fail_at(where, ErrorCode::kLimit, fmt::format("nested deeper than {} levels", kYamlDepthMax));
  return add(target, {});
}

Status TreeBuilder::set_key(Node key) {
  Open& mapping = open_.back();
  if (!key.is_scalar()) {
    return fail_at(key.location(),
                   fmt::format("a key must be a text, found {}; write the key before the colon", describe(key)));
  }
  const bool is_merge = key.text() == "<<" && key.style() == Node::Style::kPlain;
  const auto [before, is_new] = mapping.seen.emplace(key.text(), key.location());
  if (!is_new) {
    return fail_at(key.location(), fmt::format("the key {} stands twice in this mapping, first in line {}; remove one",
                                               describe(key), before->second.line));
  }
  if (is_merge) mapping.seen.erase(before);  // a merged mapping may itself hold the quoted key
  if (is_merge && mapping.merged)
    return fail_at(key.location(), "the merge key << stands twice in this mapping; write one, with a list");
  mapping.key = std::move(key);
  return {};
}

// The node is complete: it becomes the root, an item, a key or a value.
Status TreeBuilder::add(Node node, std::string_view anchor) {
  if (!anchor.empty()) anchors_[std::string(anchor)] = node;
  if (open_.empty()) {
    root_ = std::move(node);
    return {};
  }
  Open& parent = open_.back();
  if (parent.kind == Node::Kind::kSequence) {
    parent.items.push_back(std::move(node));
    return {};
  }
  if (!parent.key) return set_key(std::move(node));
  Node key = std::move(*parent.key);
  parent.key.reset();
  if (key.text() == "<<" && key.style() == Node::Style::kPlain) {
    parent.merged = std::move(node);
  } else {
    parent.entries.push_back({std::move(key), std::move(node)});
  }
  return {};
}

Status TreeBuilder::handle(const fy_event& event, const Location& where) {
  switch (event.type) {
    case FYET_DOCUMENT_START:
      if (++documents_ > 1)
        return fail_at(where, "a second document begins here; write one document a file (remove the line ---)");
      return {};
    case FYET_MAPPING_START:
      return open(Node::Kind::kMapping, where, event.mapping_start.anchor, event.mapping_start.tag);
    case FYET_SEQUENCE_START:
      return open(Node::Kind::kSequence, where, event.sequence_start.anchor, event.sequence_start.tag);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
      return close();
    case FYET_SCALAR:
      return scalar(event, where);
    case FYET_ALIAS:
      return alias(text_of(event.alias.anchor), where);
    default:
      return {};
  }
}

base::Error TreeBuilder::syntax_error(fy_diag* diag) const {
  void* at_error = nullptr;
  const fy_diag_error* const error = fy_diag_errors_iterate(diag, &at_error);
  if (error == nullptr || error->msg == nullptr)
    return {ErrorCode::kInvalid, fmt::format("{}: this is not YAML", *file_)};
  const Location where{file_, static_cast<std::uint32_t>(std::max(error->line, 1)),
                       static_cast<std::uint32_t>(std::max(error->column, 1))};
  return {ErrorCode::kInvalid, fmt::format("{}: this is not YAML: {}", where.to_string(), error->msg)};
}

Result<Node> TreeBuilder::build(std::string_view text) {
  text_ = text;
  fy_diag_cfg diag_settings;
  fy_diag_cfg_default(&diag_settings);
  diag_settings.fp = nullptr;
  diag_settings.output_fn = [](fy_diag*, void*, const char*, std::size_t) {};
  diag_settings.level = FYET_ERROR;
  const std::unique_ptr<fy_diag, DiagDeleter> diag(fy_diag_create(&diag_settings));
  if (diag == nullptr) return base::fail(ErrorCode::kInternal, "libfyaml could not make its diagnostics");
  fy_diag_set_collect_errors(diag.get(), true);
  fy_parse_cfg settings{};
  settings.flags = static_cast<fy_parse_cfg_flags>(FYPCF_QUIET | FYPCF_DISABLE_ACCELERATORS | FYPCF_JSON_NONE);
  settings.diag = diag.get();
  const std::unique_ptr<fy_parser, ParserDeleter> parser(fy_parser_create(&settings));
  if (parser == nullptr || fy_parser_set_string(parser.get(), text.data(), text.size()) != 0)
    return base::fail(ErrorCode::kInternal, "libfyaml could not make a parser");

  while (true) {
    const auto free_event = [&](fy_event* event) { fy_parser_event_free(parser.get(), event); };
    const std::unique_ptr<fy_event, decltype(free_event)> event(fy_parser_parse(parser.get()), free_event);
    if (event == nullptr || event->type == FYET_NONE) {
      if (fy_parser_get_stream_error(parser.get()) || !open_.empty()) return base::fail(syntax_error(diag.get()));
      break;
    }
    QD_TRY(handle(*event, start_of(event.get())));
    if (event->type == FYET_STREAM_END) break;
  }
  return root_ ? *root_ : Node::null({file_, 1, 1});
}

}  // namespace

Result<Node> parse_yaml(std::string_view text, std::string_view file_name) {
  if (text.size() > kYamlBytesMax) {
    return base::fail(ErrorCode::kLimit, fmt::format("{}: the file has {} bytes, more than the limit of {}; split it",
                                                     file_name, text.size(), kYamlBytesMax));
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::size_t line_number = 1;
  std::size_t empty_lines = 0;
  for (std::string_view rest = text; !rest.empty(); ++line_number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (const std::string wrong = wrong_with_line(line); !wrong.empty())
      return base::fail(ErrorCode::kInvalid, fmt::format("{}:{}:1: {}", file_name, line_number, wrong));
    empty_lines = base::trim(line).empty() ? empty_lines + 1 : 0;
    if (empty_lines > kEmptyLinesMax) {
      return base::fail(ErrorCode::kInvalid, fmt::format("{}:{}:1: more than {} empty lines in a row; remove them",
                                                         file_name, line_number, kEmptyLinesMax));
    }
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  // libfyaml 0.7.12 reads a block scalar wrongly that ends with the file and not with a line.
  if (text.empty() || text.back() == '\n') return TreeBuilder(file_name).build(text);
  return TreeBuilder(file_name).build(std::string(text) + "\n");
}

}  // namespace qd::model::config
