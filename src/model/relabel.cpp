#include "model/relabel.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <re2/re2.h>
#include <wctype.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <map>
#include <utility>

#include "base/strings.h"

namespace qd::model {

using base::ErrorCode;

namespace {

constexpr std::int64_t kRegexMemoryBytes = 8 << 20;
constexpr std::size_t kPatternLimitBytes = 1 << 20;
// Of what a template may become: labels are short, and a template repeats at will.
constexpr std::size_t kExpandedLimitBytes = 1 << 20;

constexpr std::array<std::pair<RelabelAction, std::string_view>, 11> kActions = {{
    {RelabelAction::kReplace, "replace"},
    {RelabelAction::kKeep, "keep"},
    {RelabelAction::kDrop, "drop"},
    {RelabelAction::kKeepEqual, "keepequal"},
    {RelabelAction::kDropEqual, "dropequal"},
    {RelabelAction::kHashMod, "hashmod"},
    {RelabelAction::kLabelMap, "labelmap"},
    {RelabelAction::kLabelDrop, "labeldrop"},
    {RelabelAction::kLabelKeep, "labelkeep"},
    {RelabelAction::kLowercase, "lowercase"},
    {RelabelAction::kUppercase, "uppercase"},
}};

const RelabelConfig& defaults() {
  static const RelabelConfig config;
  return config;
}

bool valid_name(std::string_view name, NameScheme scheme) {
  return scheme == NameScheme::kUtf8 ? !name.empty() && base::valid_utf8(name) : valid_label_name(name);
}

// A target label may be a template; Prometheus judges its form before there is a value to fill it.
bool valid_target_template(const std::string& text, NameScheme scheme) {
  if (scheme == NameScheme::kUtf8) return valid_name(text, scheme);
  static const RE2 form(R"((?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+)", RE2::Quiet);
  return RE2::FullMatch(text, form);
}

bool has_variable(std::string_view text) {
  return text.find('$') != std::string_view::npos;
}

char32_t decode(std::string_view text, std::size_t& size) {
  const auto lead = static_cast<unsigned char>(text.front());
  size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t code = size == 1 ? lead : lead & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3fU);
  return code;
}

void encode(std::string& out, char32_t code) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

std::string change_case(std::string_view text, bool upper) {
  static const locale_t unicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string out;
  out.reserve(text.size());
  // What is not UTF-8 has no case.
  const bool readable = base::valid_utf8(text);
  while (!text.empty()) {
    const char c = text.front();
    if (static_cast<unsigned char>(c) < 0x80) {
      const bool changes = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
      out.push_back(changes ? static_cast<char>(c ^ 0x20) : c);
      text.remove_prefix(1);
    } else if (!readable || unicode == nullptr) {
      out.push_back(c);
      text.remove_prefix(1);
    } else {
      std::size_t size = 0;
      const auto code = static_cast<wint_t>(decode(text, size));
      encode(out, static_cast<char32_t>(upper ? ::towupper_l(code, unicode) : ::towlower_l(code, unicode)));
      text.remove_prefix(size);
    }
  }
  return out;
}

// The last eight bytes of the MD5 sum, as a big-endian number: targets are spread as Prometheus spreads them.
std::uint64_t hash_of(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), sum.data(), &size, EVP_md5(), nullptr) != 1 || size != 16) return 0;
  std::uint64_t hash = 0;
  for (std::size_t i = 8; i < 16; ++i) hash = hash << 8 | sum[i];
  return hash;
}

RE2::Options regex_options() {
  RE2::Options options(RE2::Quiet);
  options.set_dot_nl(true);
  options.set_max_mem(kRegexMemoryBytes);
  return options;
}

// The name that follows a dollar: how many bytes it takes, 0 where there is none.
std::size_t read_variable(std::string_view text, std::string_view& name) {
  const bool braces = text.starts_with('{');
  if (braces) text.remove_prefix(1);
  std::size_t used = 0;
  const auto named = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  while (used < text.size() && named(text[used])) ++used;
  if (used == 0) return 0;
  name = text.substr(0, used);
  if (!braces) return used;
  return used < text.size() && text[used] == '}' ? used + 2 : 0;
}

std::optional<int> group_number(std::string_view name) {
  if (name.size() > 1 && name.front() == '0') return std::nullopt;
  int number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || number >= 100'000'000) return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

std::string kind(RelabelAction action) {
  return fmt::format("the relabel action {}", to_string(action));
}

bool needs_target(RelabelAction action) {
  using enum RelabelAction;
  return action == kReplace || action == kHashMod || action == kLowercase || action == kUppercase ||
         action == kKeepEqual || action == kDropEqual;
}

base::Status check_target(const RelabelConfig& config, NameScheme scheme) {
  using enum RelabelAction;
  const bool may_vary = config.action == kReplace && has_variable(config.target_label);
  const bool ok = may_vary ? valid_target_template(config.target_label, scheme)
                           : !needs_target(config.action) || valid_name(config.target_label, scheme);
  if (ok) return {};
  return base::fail(ErrorCode::kInvalid, fmt::format("\"{}\" is no name for target_label", config.target_label));
}

base::Status check_unused(const RelabelConfig& config) {
  using enum RelabelAction;
  const RelabelConfig& none = defaults();
  const bool other =
      config.modulus != none.modulus || config.separator != none.separator || config.replacement != none.replacement;
  if ((config.action == kKeepEqual || config.action == kDropEqual) && (other || config.regex != none.regex)) {
    return base::fail(ErrorCode::kInvalid,
                      kind(config.action) + " takes source_labels and target_label, and no other fields");
  }
  if ((config.action == kLabelDrop || config.action == kLabelKeep) &&
      (other || !config.source_labels.empty() || !config.target_label.empty())) {
    return base::fail(ErrorCode::kInvalid, kind(config.action) + " takes regex, and no other fields");
  }
  if ((config.action == kLowercase || config.action == kUppercase) && config.replacement != none.replacement) {
    return base::fail(ErrorCode::kInvalid, kind(config.action) + " takes no replacement");
  }
  return {};
}

base::Result<std::shared_ptr<const RE2>> compile_regex(const std::string& pattern) {
  if (pattern.size() > kPatternLimitBytes) return base::fail(ErrorCode::kLimit, "a pattern of more than 1 MiB");
  auto regex = std::make_shared<const RE2>(pattern, regex_options());
  if (!regex->ok()) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("regex {} does not compile: {}", base::quote(pattern), regex->error()));
  }
  return regex;
}

}  // namespace

std::string_view to_string(RelabelAction action) {
  for (const auto& [known, name] : kActions) {
    if (known == action) return name;
  }
  return "replace";
}

std::optional<RelabelAction> parse_relabel_action(std::string_view text) {
  const std::string wanted = change_case(text, false);
  for (const auto& [action, name] : kActions) {
    if (name == wanted) return action;
  }
  return std::nullopt;
}

base::Status validate(const RelabelConfig& config, NameScheme scheme) {
  using enum RelabelAction;
  if (config.action == kHashMod && config.modulus == 0)
    return base::fail(ErrorCode::kInvalid, kind(config.action) + " needs a modulus above zero");
  if (needs_target(config.action) && config.target_label.empty())
    return base::fail(ErrorCode::kInvalid, kind(config.action) + " needs a target_label");
  QD_TRY(check_target(config, scheme));
  if (config.action == kLabelMap && !valid_target_template(config.replacement, scheme))
    return base::fail(ErrorCode::kInvalid, fmt::format("\"{}\" is no replacement for labelmap", config.replacement));
  QD_TRY(check_unused(config));
  QD_TRY(compile_regex(config.regex));
  return {};
}

struct Relabeller::Rule {
  RelabelConfig config;
  std::shared_ptr<const RE2> regex;
  NameScheme scheme;
  int groups = 0;
  std::map<std::string, int> names;  // of groups
  bool plain = false;                // a replacement that no value changes

  using Groups = std::vector<re2::StringPiece>;

  bool match(std::string_view text, Groups* found = nullptr) const {
    const re2::StringPiece piece(text.data(), text.size());
    if (found == nullptr) return regex->Match(piece, 0, text.size(), RE2::ANCHOR_BOTH, nullptr, 0);
    found->assign(static_cast<std::size_t>(groups) + 1, {});
    return regex->Match(piece, 0, text.size(), RE2::ANCHOR_BOTH, found->data(), groups + 1);
  }

  std::string expand(std::string_view text, const Groups& found) const {
    std::string out;
    while (out.size() <= kExpandedLimitBytes) {
      const std::size_t dollar = text.find('$');
      out.append(text.substr(0, dollar));
      if (dollar == std::string_view::npos) return out;
      text.remove_prefix(dollar + 1);
      std::string_view name;
      const std::size_t used = text.starts_with('$') ? 1 : read_variable(text, name);
      text.remove_prefix(used);
      if (name.empty() || used == 0) {
        out.push_back('$');
        continue;
      }
      auto number = group_number(name);
      if (!number) {
        const auto named = names.find(std::string(name));
        if (named == names.end()) continue;
        number = named->second;
      }
      if (*number > groups) continue;
      const re2::StringPiece& group = found[static_cast<std::size_t>(*number)];
      if (group.data() != nullptr) out.append(group.data(), group.size());
    }
    return out;
  }

  std::string joined(const LabelBuilder& labels) const {
    std::string out;
    for (std::size_t i = 0; i < config.source_labels.size(); ++i) {
      if (i > 0) out.append(config.separator);
      out.append(labels.get(config.source_labels[i]));
    }
    return out;
  }

  void replace(LabelBuilder& labels, const std::string& value) const {
    if (plain && value.empty()) return labels.set(config.target_label, config.replacement);
    Groups found;
    if (!match(value, &found)) return;
    const std::string target = expand(config.target_label, found);
    if (!valid_name(target, scheme)) return;
    labels.set(target, expand(config.replacement, found));
  }

  void for_names(LabelBuilder& labels) const {
    const LabelSet before = labels.build();
    Groups found;
    for (const Label& label : before) {
      if (config.action == RelabelAction::kLabelMap) {
        if (!match(label.name, &found)) continue;
        const std::string name = expand(config.replacement, found);
        if (!name.empty()) labels.set(name, label.value);
      } else if (match(label.name) == (config.action == RelabelAction::kLabelDrop)) {
        labels.remove(label.name);
      }
    }
  }

  bool apply(LabelBuilder& labels) const {
    using enum RelabelAction;
    const std::string value = joined(labels);
    switch (config.action) {
      case kReplace:
        replace(labels, value);
        return true;
      case kKeep:
        return match(value);
      case kDrop:
        return !match(value);
      case kKeepEqual:
        return labels.get(config.target_label) == value;
      case kDropEqual:
        return labels.get(config.target_label) != value;
      case kHashMod:
        labels.set(config.target_label, std::to_string(hash_of(value) % config.modulus));
        return true;
      case kLowercase:
      case kUppercase:
        labels.set(config.target_label, change_case(value, config.action == kUppercase));
        return true;
      case kLabelMap:
      case kLabelDrop:
      case kLabelKeep:
        for_names(labels);
        return true;
    }
    return true;
  }
};

base::Result<Relabeller> Relabeller::compile(std::span<const RelabelConfig> configs, NameScheme scheme) {
  Relabeller out;
  if (configs.empty()) return out;
  auto rules = std::make_shared<std::vector<Rule>>();
  for (const RelabelConfig& config : configs) {
    QD_TRY(validate(config, scheme));
    Rule rule{.config = config, .regex = nullptr, .scheme = scheme, .groups = 0, .names = {}, .plain = false};
    QD_ASSIGN(rule.regex, compile_regex(config.regex));
    rule.groups = rule.regex->NumberOfCapturingGroups();
    rule.names = rule.regex->NamedCapturingGroups();
    rule.plain =
        config.regex == defaults().regex && !has_variable(config.target_label) && !has_variable(config.replacement);
    rules->push_back(std::move(rule));
  }
  out.rules_ = std::move(rules);
  return out;
}

bool Relabeller::apply(LabelBuilder& labels) const {
  if (!rules_) return true;
  return std::ranges::all_of(*rules_, [&](const Rule& rule) { return rule.apply(labels); });
}

bool Relabeller::apply_one(std::size_t index, LabelBuilder& labels) const {
  return (*rules_)[index].apply(labels);
}

std::size_t Relabeller::size() const {
  return rules_ ? rules_->size() : 0;
}

}  // namespace qd::model
