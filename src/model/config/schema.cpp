#include "model/config/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/strings.h"
#include "model/config/loader.h"
#include "model/config/render.h"

namespace qd::model::config {

using base::Status;

namespace {

// The same value without its place: the loader puts place and path in front of what its readers say.
Node unplaced(const Node& node) {
  switch (node.kind()) {
    case Node::Kind::kScalar:
      return Node::scalar(node.text(), node.style());
    case Node::Kind::kSequence:
      return Node::sequence({});
    case Node::Kind::kMapping:
      return Node::mapping({});
    case Node::Kind::kNull:
      break;
  }
  return {};
}

std::unexpected<base::Error> wrong(std::string message) {
  return base::fail(base::ErrorCode::kInvalid, std::move(message));
}

template <typename T>
Status within(T value, T min, T max, const std::function<std::string(T)>& print) {
  if (value < min) return wrong(fmt::format("{} is too small; {} is the least", print(value), print(min)));
  if (value > max) return wrong(fmt::format("{} is too large; {} is the most", print(value), print(max)));
  return {};
}

// The bounds as the documentation shows them; nothing for those of the type itself.
template <typename T>
std::string bounds(T min, T max, T type_min, T type_max, const std::function<std::string(T)>& print) {
  if (min != type_min && max != type_max) return fmt::format(", {} to {}", print(min), print(max));
  if (min != type_min) return fmt::format(", at least {}", print(min));
  if (max != type_max) return fmt::format(", at most {}", print(max));
  return "";
}

std::string print_integer(std::int64_t value) {
  return fmt::to_string(value);
}
std::string print_number(double value) {
  return base::format_float(value);
}
std::string print_duration(std::int64_t ms) {
  return base::format_duration_ms(ms);
}
std::string print_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 7> kUnits = {"", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, kUnits[unit]);
}

std::string join_quoted(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += '"' + words[i] + '"';
  }
  return out;
}

Node quoted(std::string text) {
  return Node::scalar(std::move(text), Node::Style::kQuoted);
}

// Each wrong item is reported at its own place.
std::vector<std::string> read_strings(const Node& sequence, const std::string& path, Loader& loader) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < sequence.items().size(); ++i) {
    const Node& item = sequence.items()[i];
    if (item.is_scalar()) {
      values.push_back(item.text());
    } else {
      loader.report(item.location(), fmt::format("{}[{}]: expected a text, found {}", path, i, describe(item)));
    }
  }
  return values;
}

std::map<std::string, std::string> read_text_map(const Node& mapping, const std::string& path, Loader& loader) {
  std::map<std::string, std::string> values;
  for (const auto& [key, value] : mapping.entries()) {
    // Nothing is the empty text here: that is how a label is taken away.
    if (value.is_scalar() || value.is_null()) {
      values[key.text()] = value.text();
    } else {
      loader.report(value.location(),
                    fmt::format("{}.{}: expected a text, found {}", path, key.text(), describe(value)));
    }
  }
  return values;
}

}  // namespace

std::map<std::string, std::string> environment_of(const char* const* environment) {
  std::map<std::string, std::string> out;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view line = *environment;
    const auto equals = line.find('=');
    if (equals != std::string_view::npos) out.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return out;
}

Setting& Setting::only_at_start() {
  only_at_start_ = true;
  return *this;
}

Setting& Setting::shown_by(std::function<std::string(const std::string&)> show) {
  show_ = [whole = std::move(show_), show = std::move(show)] { return quoted(show(whole().text())); };
  return *this;
}

Setting& Setting::example(std::string text) {
  example_ = std::move(text);
  return *this;
}

Setting& Setting::required() {
  required_ = true;
  return *this;
}

bool Setting::describe_item(Schema& item) const {
  if (!describe_) return false;
  item.describing_ = true;
  describe_(item);
  return true;
}

std::string Schema::shown_path(std::string_view path) const {
  if (prefix_.empty()) return std::string(path);
  return path.empty() ? prefix_ : fmt::format("{}.{}", prefix_, path);
}

void Schema::section(std::string_view path, std::string_view help) {
  sections_[std::string(path)] = help;
}

Setting& Schema::add(std::string_view path, std::string_view help, std::string type) {
  QD_ASSERT(!loaded_, std::string(path));
  QD_ASSERT(!path.empty());
  Setting& setting = settings_.emplace_back();
  setting.path_ = path;
  setting.help_ = help;
  setting.type_ = std::move(type);
  QD_ASSERT(by_path_.emplace(setting.path_, &setting).second, "declared twice: " + setting.path_);
  // A path is a setting or a section, never both.
  for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.', dot + 1)) {
    const std::string around(path.substr(0, dot));
    QD_ASSERT(!by_path_.contains(around), "a setting inside a setting: " + setting.path_);
    sections_.try_emplace(around);
  }
  QD_ASSERT(!sections_.contains(setting.path_), "a section is declared as a setting: " + setting.path_);
  return setting;
}

Setting& Schema::flag(std::string_view path, bool& target, std::string_view help) {
  Setting& setting = add(path, help, "flag");
  setting.default_ = target ? "true" : "false";
  setting.fill_ = [&target](const Node& node, Loader&) -> Status {
    QD_ASSIGN(target, unplaced(node).as_bool());
    return {};
  };
  setting.show_ = [&target] { return Node::scalar(target ? "true" : "false"); };
  return setting;
}

Setting& Schema::text(std::string_view path, std::string& target, std::string_view help) {
  Setting& setting = add(path, help, "text");
  setting.default_ = target;
  setting.fill_ = [&target](const Node& node, Loader&) -> Status {
    QD_ASSIGN(target, unplaced(node).as_string());
    return {};
  };
  setting.show_ = [&target] { return quoted(target); };
  return setting;
}

Setting& Schema::integer(std::string_view path, std::int64_t& target, std::string_view help, std::int64_t min,
                         std::int64_t max) {
  using Limits = std::numeric_limits<std::int64_t>;
  Setting& setting =
      add(path, help, "integer" + bounds<std::int64_t>(min, max, Limits::min(), Limits::max(), print_integer));
  setting.default_ = print_integer(target);
  setting.fill_ = [&target, min, max](const Node& node, Loader&) -> Status {
    QD_ASSIGN(const std::int64_t value, unplaced(node).as_int());
    QD_TRY(within<std::int64_t>(value, min, max, print_integer));
    target = value;
    return {};
  };
  setting.show_ = [&target] { return Node::scalar(print_integer(target)); };
  return setting;
}

Setting& Schema::number(std::string_view path, double& target, std::string_view help, double min, double max) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Setting& setting = add(path, help, "number" + bounds<double>(min, max, -kInfinity, kInfinity, print_number));
  setting.default_ = print_number(target);
  setting.fill_ = [&target, min, max](const Node& node, Loader&) -> Status {
    QD_ASSIGN(const double value, unplaced(node).as_double());
    if (value != value && (min > -kInfinity || max < kInfinity)) return wrong("NaN is not between the bounds");
    QD_TRY(within<double>(value, min, max, print_number));
    target = value;
    return {};
  };
  setting.show_ = [&target] { return Node::scalar(print_number(target)); };
  return setting;
}

Setting& Schema::duration_ms(std::string_view path, std::int64_t& target, std::string_view help, std::int64_t min_ms,
                             std::int64_t max_ms) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  Setting& setting = add(path, help, "duration" + bounds<std::int64_t>(min_ms, max_ms, 0, kMax, print_duration));
  setting.default_ = print_duration(target);
  setting.fill_ = [&target, min_ms, max_ms](const Node& node, Loader&) -> Status {
    QD_ASSIGN(const std::int64_t value, unplaced(node).as_duration_ms());
    QD_TRY(within<std::int64_t>(value, min_ms, max_ms, print_duration));
    target = value;
    return {};
  };
  setting.show_ = [&target] { return Node::scalar(print_duration(target)); };
  return setting;
}

Setting& Schema::bytes(std::string_view path, std::uint64_t& target, std::string_view help, std::uint64_t min_bytes,
                       std::uint64_t max_bytes) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  Setting& setting = add(path, help, "size" + bounds<std::uint64_t>(min_bytes, max_bytes, 0, kMax, print_bytes));
  setting.default_ = print_bytes(target);
  setting.fill_ = [&target, min_bytes, max_bytes](const Node& node, Loader&) -> Status {
    QD_ASSIGN(const std::uint64_t value, unplaced(node).as_bytes());
    QD_TRY(within<std::uint64_t>(value, min_bytes, max_bytes, print_bytes));
    target = value;
    return {};
  };
  setting.show_ = [&target] { return Node::scalar(print_bytes(target)); };
  return setting;
}

Setting& Schema::choice(std::string_view path, std::string& target, std::vector<std::string> allowed,
                        std::string_view help) {
  Setting& setting = add(path, help, join_quoted(allowed));
  setting.default_ = target;
  setting.fill_ = [&target, allowed = std::move(allowed)](const Node& node, Loader&) -> Status {
    if (!node.is_scalar()) return wrong(fmt::format("expected {}, found {}", join_quoted(allowed), describe(node)));
    if (std::find(allowed.begin(), allowed.end(), node.text()) == allowed.end())
      return wrong(fmt::format("expected {}, found {}", join_quoted(allowed), describe(node)));
    target = node.text();
    return {};
  };
  setting.show_ = [&target] { return quoted(target); };
  return setting;
}

Setting& Schema::strings(std::string_view path, std::vector<std::string>& target, std::string_view help) {
  const auto show = [&target] {
    std::vector<Node> items;
    items.reserve(target.size());
    for (const std::string& value : target) items.push_back(quoted(value));
    return Node::sequence(std::move(items));
  };
  Setting& setting = add(path, help, "list of texts");
  setting.default_ = render_inline(show());
  setting.form_ = Setting::Form::kStrings;
  setting.fill_ = [&target, shown = shown_path(path)](const Node& node, Loader& loader) -> Status {
    if (!node.is_sequence()) return wrong(fmt::format("expected a list of texts, found {}", describe(node)));
    target = read_strings(node, shown, loader);
    return {};
  };
  setting.show_ = show;
  return setting;
}

Setting& Schema::secret(std::string_view path, std::string& target, std::string_view help) {
  Setting& setting = add(path, help, "secret");
  setting.fill_ = [&target](const Node& node, Loader& loader) -> Status {
    if (!node.is_scalar()) return wrong(fmt::format("expected a secret, found {}", describe(node)));
    QD_ASSIGN(target, loader.resolve_secret(node.text()));
    return {};
  };
  setting.show_ = [&target] { return quoted(target.empty() ? "" : "<secret>"); };
  return setting;
}

Setting& Schema::text_map(std::string_view path, std::map<std::string, std::string>& target, std::string_view help) {
  const auto show = [&target] {
    std::vector<Node::Entry> entries;
    entries.reserve(target.size());
    for (const auto& [name, value] : target) entries.push_back({quoted(name), quoted(value)});
    return Node::mapping(std::move(entries));
  };
  Setting& setting = add(path, help, "texts by name");
  setting.default_ = render_inline(show());
  setting.form_ = Setting::Form::kTree;
  setting.fill_ = [&target, shown = shown_path(path)](const Node& node, Loader& loader) -> Status {
    if (!node.is_mapping()) return wrong(fmt::format("expected a mapping of names to texts, found {}", describe(node)));
    target = read_text_map(node, shown, loader);
    return {};
  };
  setting.show_ = show;
  return setting;
}

Setting& Schema::node(std::string_view path, Node& target, std::string_view help) {
  Setting& setting = add(path, help, "any");
  setting.form_ = Setting::Form::kTree;
  setting.fill_ = [&target](const Node& node, Loader&) -> Status {
    target = node;
    return {};
  };
  setting.show_ = [&target] { return target.is_null() ? Node() : quoted("<not shown>"); };
  return setting;
}

Setting& Schema::list(std::string_view path, std::string_view help, std::function<void(Schema& item)> declare) {
  Setting& setting = add(path, help, "list of mappings");
  setting.default_ = "[]";
  setting.form_ = Setting::Form::kTree;
  setting.describe_ = declare;
  setting.effective_ = Node::sequence({});
  setting.fill_ = [this, &setting, declare = std::move(declare)](const Node& node, Loader& loader) -> Status {
    if (!node.is_sequence()) return wrong(fmt::format("expected a list, found {}", describe(node)));
    std::vector<Node> effective;
    for (std::size_t i = 0; i < node.items().size(); ++i) {
      const Node& item = node.items()[i];
      Schema schema;
      schema.prefix_ = fmt::format("{}[{}]", shown_path(setting.path_), i);
      if (item.is_null()) {
        loader.report(item.location(), fmt::format("{}: this item is empty; fill or remove it", schema.prefix_));
        continue;
      }
      declare(schema);
      loader.fill(schema, item, {});
      effective.push_back(schema.effective());
    }
    setting.effective_ = Node::sequence(std::move(effective));
    return {};
  };
  return setting;
}

Setting& Schema::mapping(std::string_view path, std::string_view help,
                         std::function<void(std::string_view name, Schema& item)> declare) {
  Setting& setting = add(path, help, "mappings by name");
  setting.default_ = "{}";
  setting.form_ = Setting::Form::kTree;
  setting.describe_ = [declare](Schema& item) { declare("NAME", item); };
  setting.effective_ = Node::mapping({});
  setting.fill_ = [this, &setting, declare = std::move(declare)](const Node& node, Loader& loader) -> Status {
    if (!node.is_mapping()) return wrong(fmt::format("expected a mapping of names, found {}", describe(node)));
    std::vector<Node::Entry> effective;
    for (const auto& [name, item] : node.entries()) {
      Schema schema;
      schema.prefix_ = fmt::format("{}.{}", shown_path(setting.path_), name.text());
      declare(name.text(), schema);
      loader.fill(schema, item, {});
      effective.push_back({quoted(name.text()), schema.effective()});
    }
    setting.effective_ = Node::mapping(std::move(effective));
    return {};
  };
  return setting;
}

void Schema::check(std::string_view path, std::function<Status()> look) {
  QD_ASSERT(by_path_.contains(path) || sections_.contains(std::string(path)) || path.empty(),
            "a check of what is not declared: " + std::string(path));
  checks_.push_back({std::string(path), std::move(look)});
}

bool Schema::is_set(std::string_view path) const {
  if (places_.contains(path)) return true;
  const std::string below = std::string(path) + ".";
  const auto it = places_.lower_bound(below);
  return it != places_.end() && it->first.starts_with(below);
}

std::string Schema::where(std::string_view path) const {
  while (true) {
    if (const auto it = places_.find(path); it != places_.end()) return it->second.to_string();
    const auto dot = path.rfind('.');
    if (dot == std::string_view::npos) return location_.to_string();
    path = path.substr(0, dot);
  }
}

Status Schema::load(const Sources& sources) {
  Loader loader(&sources);
  const auto overrides = loader.overrides(*this);
  loader.fill(*this, sources.file.value_or(Node()), overrides);
  return loader.result();
}

Status bind(const Node& node, Schema& schema) {
  Loader loader(nullptr);
  loader.fill(schema, node, {});
  return loader.result();
}

namespace {

// Sections become mappings in the order in which their first setting was declared.
struct Branch {
  std::string name;
  std::optional<Node> value;
  std::vector<Branch> children;

  Branch& child(std::string_view child_name) {
    for (Branch& known : children)
      if (known.name == child_name) return known;
    return children.emplace_back(Branch{std::string(child_name), std::nullopt, {}});
  }
  Node to_node() const {
    if (value) return *value;
    std::vector<Node::Entry> entries;
    entries.reserve(children.size());
    for (const Branch& branch : children) entries.push_back({quoted(branch.name), branch.to_node()});
    return Node::mapping(std::move(entries));
  }
};

}  // namespace

Node Schema::effective() const {
  QD_ASSERT(loaded_);
  Branch root;
  for (const Setting& setting : settings_) {
    Branch* at = &root;
    for (const std::string_view part : base::split(setting.path_, '.')) at = &at->child(part);
    at->value = setting.effective_;
  }
  return root.to_node();
}

std::vector<std::string> Schema::keep_start_only(const Schema& running, std::string_view also) {
  std::vector<std::string> changed;
  const std::string section = std::string(also) + ".";
  for (Setting& setting : settings_) {
    if (!setting.only_at_start_ && (also.empty() || !setting.path_.starts_with(section))) continue;
    const auto there = running.by_path_.find(setting.path_);
    QD_ASSERT(there != running.by_path_.end(), setting.path_);
    const Node& kept = there->second->effective_;
    if (render_inline(kept) == render_inline(setting.effective_)) continue;
    changed.push_back(setting.path_);
    setting.effective_ = kept;
  }
  return changed;
}

}  // namespace qd::model::config
