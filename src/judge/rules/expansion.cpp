#include "judge/rules/expansion.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <optional>
#include <vector>

#include "base/strings.h"
#include "connect/http/message.h"

namespace qd::judge::rules {

namespace {

using base::ErrorCode;
using base::Result;
using model::tmpl::Functions;
using model::tmpl::List;
using model::tmpl::Map;
using model::tmpl::Value;
using Arguments = std::span<const Value>;

constexpr std::string_view kPreamble =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

std::unexpected<base::Error> wrong(std::string what) {
  return base::fail(ErrorCode::kInvalid, std::move(what));
}

Result<double> number_of(Arguments a) {
  if (a.size() != 1) return wrong("takes one number");
  if (a[0].is_number()) return a[0].number();
  if (a[0].text())
    if (const auto parsed = base::parse_float(*a[0].text())) return *parsed;
  return wrong(fmt::format("\"{}\" is no number", a[0].to_string()));
}

// Four significant digits, as %.4g prints them.
std::string short_number(double v) {
  if (!std::isfinite(v)) return model::tmpl::format_go_float(v);
  return fmt::format("{:.4g}", v);
}

constexpr double kSecondsMax = 9.2e9;  // what nanoseconds in 64 bits reach

// Seconds, as nanoseconds.
Result<std::int64_t> nanoseconds_of(Arguments a) {
  QD_ASSIGN(const double v, number_of(a));
  if (!(std::fabs(v) <= kSecondsMax)) return wrong(fmt::format("{} seconds are out of range", short_number(v)));
  return static_cast<std::int64_t>(v * 1e9);
}

// Times are told in milliseconds.
std::int64_t whole_ms(std::int64_t ns) {
  return ns / 1'000'000 * 1'000'000;
}

Result<std::string> text_of(Arguments a) {
  if (a.size() != 1) return wrong("takes one text");
  return a[0].to_string();
}

std::string humanize(double v) {
  if (v == 0 || !std::isfinite(v)) return short_number(v);
  static constexpr std::array<const char*, 8> kUp = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
  static constexpr std::array<const char*, 8> kDown = {"m", "u", "n", "p", "f", "a", "z", "y"};
  const char* prefix = "";
  if (std::fabs(v) >= 1) {
    for (const char* p : kUp) {
      if (std::fabs(v) < 1000) break;
      prefix = p;
      v /= 1000;
    }
  } else {
    for (const char* p : kDown) {
      if (std::fabs(v) >= 1) break;
      prefix = p;
      v *= 1000;
    }
  }
  return short_number(v) + prefix;
}

std::string humanize1024(double v) {
  if (std::fabs(v) <= 1 || !std::isfinite(v)) return short_number(v);
  const char* prefix = "";
  for (const char* p : {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"}) {
    if (std::fabs(v) < 1024) break;
    prefix = p;
    v /= 1024;
  }
  return short_number(v) + prefix;
}

std::string humanize_duration(double v) {
  if (!std::isfinite(v)) return short_number(v);
  if (v == 0) return short_number(v) + "s";
  if (std::fabs(v) >= 1) {
    const char* sign = v < 0 ? "-" : "";
    // Past this a count of days is no longer exact anyway.
    const auto total = static_cast<std::int64_t>(std::min(std::fabs(v), 9e15));
    const auto seconds = total % 60;
    const auto minutes = total / 60 % 60;
    const auto hours = total / 3600 % 24;
    const auto days = total / 86400;
    if (days != 0) return fmt::format("{}{}d {}h {}m {}s", sign, days, hours, minutes, seconds);
    if (hours != 0) return fmt::format("{}{}h {}m {}s", sign, hours, minutes, seconds);
    if (minutes != 0) return fmt::format("{}{}m {}s", sign, minutes, seconds);
    return fmt::format("{}{}s", sign, short_number(std::fabs(v)));
  }
  const char* prefix = "";
  for (const char* p : {"m", "u", "n", "p", "f", "a", "z", "y"}) {
    if (std::fabs(v) >= 1) break;
    prefix = p;
    v *= 1000;
  }
  return short_number(v) + prefix + "s";
}

// As Go's strings.Title: what is neither letter, digit nor underscore parts words.
std::string title(std::string text) {
  bool start = true;
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (start) c = static_cast<char>(std::toupper(byte));
    start = byte < 0x80 && std::isalnum(byte) == 0 && c != '_';
  }
  return text;
}

// A replacement as Go's regexp expands it: $name and ${name} are groups by name or number, the name as long as can be;
// a group that is not there is nothing; $$ is a dollar.
void append_replacement(std::string& out, std::string_view replacement, const RE2& pattern,
                        const std::vector<re2::StringPiece>& groups) {
  while (!replacement.empty()) {
    const auto dollar = replacement.find('$');
    out += replacement.substr(0, dollar);
    if (dollar == std::string_view::npos) return;
    replacement.remove_prefix(dollar + 1);
    if (replacement.starts_with('$')) {
      out += '$';
      replacement.remove_prefix(1);
      continue;
    }
    const bool braced = replacement.starts_with('{');
    std::size_t end = braced ? 1 : 0;
    while (end < replacement.size() &&
           (std::isalnum(static_cast<unsigned char>(replacement[end])) != 0 || replacement[end] == '_'))
      ++end;
    const std::string name(replacement.substr(braced ? 1 : 0, end - (braced ? 1 : 0)));
    if (name.empty() || (braced && (end == replacement.size() || replacement[end] != '}'))) {
      out += '$';
      continue;
    }
    replacement.remove_prefix(braced ? end + 1 : end);
    std::size_t group = groups.size();
    const bool numbered = std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (const auto found = pattern.NamedCapturingGroups().find(name); found != pattern.NamedCapturingGroups().end()) {
      group = static_cast<std::size_t>(found->second);
    } else if (numbered && name.size() <= 4) {
      group = static_cast<std::size_t>(std::stoi(name));
    }
    if (group < groups.size() && groups[group].data() != nullptr)
      out.append(groups[group].data(), groups[group].size());
  }
}

constexpr std::size_t kReplacedBytesMax = 1 << 20;

// Nothing when the result would be larger than kReplacedBytesMax.
std::optional<std::string> replace_all(const RE2& pattern, std::string_view text, std::string_view replacement) {
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(pattern.NumberOfCapturingGroups()) + 1);
  const re2::StringPiece whole(text.data(), text.size());
  std::string out;
  std::size_t copied = 0;
  std::size_t from = 0;
  while (from <= text.size() &&
         pattern.Match(whole, from, text.size(), RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size()))) {
    const auto begin = static_cast<std::size_t>(groups[0].data() - text.data());
    const auto end = begin + groups[0].size();
    out += text.substr(copied, begin - copied);
    // An empty match right behind another is none.
    if (end > copied || begin == 0) append_replacement(out, replacement, pattern, groups);
    if (out.size() > kReplacedBytesMax) return std::nullopt;
    copied = end;
    from = end;
    if (end == begin) {
      ++from;
      while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xc0) == 0x80) ++from;
    }
  }
  out += text.substr(std::min(copied, text.size()));
  if (out.size() > kReplacedBytesMax) return std::nullopt;
  return out;
}

std::string mapped(std::string text, int (*f)(int)) {
  for (char& c : text) c = static_cast<char>(f(static_cast<unsigned char>(c)));
  return text;
}

// As Go's url.QueryEscape: a space is a plus.
std::string query_escape(std::string_view text) {
  auto escaped = connect::http::percent_encode(text);
  std::string out;
  out.reserve(escaped.size());
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    const bool space = escaped.compare(i, 3, "%20") == 0;
    out += space ? '+' : escaped[i];
    if (space) i += 2;
  }
  return out;
}

// "/qd" of "https://deck.example.org/qd/", nothing where it has no path.
std::string path_of(std::string_view url) {
  const auto scheme = url.find("://");
  const auto path = url.find('/', scheme == std::string_view::npos ? 0 : scheme + 3);
  if (path == std::string_view::npos) return {};
  auto text = url.substr(path, url.find_first_of("?#", path) - path);
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

std::string strip_port(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || (text.find(':') != colon && !text.starts_with('['))) return text;
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

std::string strip_domain(const std::string& text) {
  const auto host = strip_port(text);
  const auto port = text.substr(std::min(text.size(), host.size()));
  if (host.find_first_not_of("0123456789.:") == std::string::npos) return text;  // an address has no domain
  return host.substr(0, host.find('.')) + port;
}

Value labels_value(const model::LabelSet& labels) {
  Map map;
  for (const auto& label : labels) map.emplace(std::string(label.name), Value(label.value));
  return map;
}

Value sample_value(const model::LabelSet& labels, double value) {
  return Map{{"Labels", labels_value(labels)}, {"Value", value}};
}

Result<Value> run_query(const QueryFunction& query, Arguments a, model::TimestampMs time_ms) {
  if (a.size() != 1 || !a[0].text()) return wrong("takes an expression");
  if (!query) return Value(List{});
  QD_ASSIGN(const auto result, query(*a[0].text(), time_ms));
  List list;
  if (const auto* vector = std::get_if<query::promql::Vector>(&result.value)) {
    for (const auto& sample : *vector) list.push_back(sample_value(sample.labels, sample.value));
  } else if (const auto* scalar = std::get_if<query::promql::ScalarValue>(&result.value)) {
    list.push_back(sample_value({}, scalar->value));
  } else if (const auto* text = std::get_if<query::promql::StringValue>(&result.value)) {
    list.emplace_back(Map{{"Labels", Map{{"__value__", text->value}}}, {"Value", 0.0}});
  } else {
    return wrong("the expression must give a vector, a scalar or a text");
  }
  return Value(std::move(list));
}

Result<const Map*> sample_of(Arguments a, std::size_t at) {
  if (a.size() <= at || !a[at].map()) return wrong("takes a sample of a query");
  return a[at].map();
}

// The label of a sample, or "".
std::string label_of(const Value& sample, std::string_view name) {
  const auto* map = sample.map();
  const auto labels = map ? map->find("Labels") : Map::const_iterator();
  if (!map || labels == map->end() || !labels->second.map()) return {};
  const auto found = labels->second.map()->find(name);
  return found == labels->second.map()->end() ? "" : found->second.to_string();
}

Functions sample_functions(const QueryFunction& query, model::TimestampMs time_ms) {
  Functions f;
  f["query"] = [query, time_ms](Arguments a) { return run_query(query, a, time_ms); };
  f["first"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 1 || !a[0].list()) return wrong("takes the result of a query");
    if (a[0].list()->empty()) return wrong("first() called on a vector with no elements");
    return Value(a[0].list()->front());
  };
  f["label"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 2 || !a[0].text()) return wrong("takes a label's name and a sample");
    return Value(label_of(a[1], *a[0].text()));
  };
  f["value"] = [](Arguments a) -> Result<Value> {
    QD_ASSIGN(const auto* sample, sample_of(a, 0));
    const auto found = sample->find("Value");
    return found == sample->end() ? Value(0.0) : Value(found->second);
  };
  f["strvalue"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 1) return wrong("takes a sample of a query");
    return Value(label_of(a[0], "__value__"));
  };
  f["sortByLabel"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 2 || !a[0].text() || !a[1].list()) return wrong("takes a label's name and the result of a query");
    List sorted = *a[1].list();
    std::stable_sort(sorted.begin(), sorted.end(), [&](const Value& x, const Value& y) {
      return label_of(x, *a[0].text()) < label_of(y, *a[0].text());
    });
    return Value(std::move(sorted));
  };
  return f;
}

void add_number_functions(Functions& f) {
  const auto with = [&f](const char* name, std::string (*print)(double)) {
    f[name] = [print](Arguments a) -> Result<Value> {
      QD_ASSIGN(const double v, number_of(a));
      return Value(print(v));
    };
  };
  with("humanize", humanize);
  with("humanize1024", humanize1024);
  with("humanizeDuration", humanize_duration);
  with("humanizePercentage", [](double v) { return short_number(v * 100) + "%"; });
  f["humanizeTimestamp"] = [](Arguments a) -> Result<Value> {
    QD_ASSIGN(const double v, number_of(a));
    if (!std::isfinite(v)) return Value(short_number(v));
    QD_ASSIGN(const auto ns, nanoseconds_of(a));
    return Value(Value(model::tmpl::Time{whole_ms(ns)}).to_string());
  };
  f["toTime"] = [](Arguments a) -> Result<Value> {
    QD_ASSIGN(const auto ns, nanoseconds_of(a));
    return Value(model::tmpl::Time{whole_ms(ns)});
  };
  f["toDuration"] = [](Arguments a) -> Result<Value> {
    QD_ASSIGN(const auto ns, nanoseconds_of(a));
    return Value(model::tmpl::Duration{ns});
  };
  f["parseDuration"] = [](Arguments a) -> Result<Value> {
    QD_ASSIGN(const auto text, text_of(a));
    QD_ASSIGN(const auto ms, base::parse_duration_ms(text));
    return Value(static_cast<double>(ms) / 1000);
  };
}

void add_text_functions(Functions& f) {
  const auto with = [&f](const char* name, std::string (*change)(std::string)) {
    f[name] = [change](Arguments a) -> Result<Value> {
      QD_ASSIGN(auto text, text_of(a));
      return Value(change(std::move(text)));
    };
  };
  with("title", title);
  with("toUpper", [](std::string t) { return mapped(std::move(t), std::toupper); });
  with("toLower", [](std::string t) { return mapped(std::move(t), std::tolower); });
  with("stripPort", [](std::string t) { return strip_port(t); });
  with("stripDomain", [](std::string t) { return strip_domain(t); });
  with("safeHtml", [](std::string t) { return t; });
  with("urlQueryEscape", [](std::string t) { return query_escape(t); });
  f["match"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 2) return wrong("takes a pattern and a text");
    const RE2 pattern(a[0].to_string(), RE2::Quiet);
    if (!pattern.ok()) return wrong(pattern.error());
    return Value(RE2::PartialMatch(a[1].to_string(), pattern));
  };
  f["reReplaceAll"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 3) return wrong("takes a pattern, a replacement and a text");
    const RE2 pattern(a[0].to_string(), RE2::Quiet);
    if (!pattern.ok()) return wrong(pattern.error());
    auto text = replace_all(pattern, a[2].to_string(), a[1].to_string());
    if (!text) return wrong(fmt::format("the result is larger than {} bytes", kReplacedBytesMax));
    return Value(std::move(*text));
  };
  f["args"] = [](Arguments a) -> Result<Value> {
    Map map;
    for (std::size_t i = 0; i < a.size(); ++i) map.emplace(fmt::format("arg{}", i), a[i]);
    return Value(std::move(map));
  };
}

}  // namespace

std::string graph_path(std::string_view expr, int tab) {
  return fmt::format("/graph?g0.expr={}&g0.tab={}", query_escape(expr), tab);
}

Functions template_functions(const QueryFunction& query, model::TimestampMs time_ms, const std::string& external_url) {
  Functions f = sample_functions(query, time_ms);
  add_number_functions(f);
  add_text_functions(f);
  f["now"] = [time_ms](Arguments) -> Result<Value> { return Value(static_cast<double>(time_ms) / 1000); };
  f["externalURL"] = [external_url](Arguments) -> Result<Value> { return Value(external_url); };
  f["pathPrefix"] = [path = path_of(external_url)](Arguments) -> Result<Value> { return Value(path); };
  const auto link = [](int tab) {
    return [tab](Arguments a) -> Result<Value> {
      QD_ASSIGN(const auto expr, text_of(a));
      return Value(graph_path(expr, tab));
    };
  };
  f["graphLink"] = link(0);
  f["tableLink"] = link(1);
  return f;
}

base::Result<std::string> expand(std::string_view name, std::string_view text, const model::LabelSet& labels,
                                 double value, const model::LabelSet& external_labels, const std::string& external_url,
                                 const QueryFunction& query, model::TimestampMs time_ms,
                                 const model::tmpl::Limits& limits) {
  if (text.find("{{") == std::string_view::npos) return std::string(text);
  QD_ASSIGN(const auto parsed, model::tmpl::Template::parse(name, fmt::format("{}{}", kPreamble, text),
                                                            template_functions(query, time_ms, external_url)));
  return parsed.render(Map{{"Labels", labels_value(labels)},
                           {"ExternalLabels", labels_value(external_labels)},
                           {"ExternalURL", external_url},
                           {"Value", value}},
                       limits);
}

base::Status check_template(std::string_view name, std::string_view text) {
  QD_TRY(model::tmpl::Template::parse(name, fmt::format("{}{}", kPreamble, text), template_functions({}, 0, "")));
  return {};
}

}  // namespace qd::judge::rules
