// The functions that every Go template has.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "model/template/template.h"

namespace qd::model::tmpl {

namespace {

using base::ErrorCode;
using base::Result;
using Arguments = std::span<const Value>;

std::unexpected<base::Error> wrong(std::string what) {
  return base::fail(ErrorCode::kInvalid, std::move(what));
}

Result<bool> equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.text() && b.text()) return *a.text() == *b.text();
  if (a.boolean() && b.boolean()) return *a.boolean() == *b.boolean();
  if (a.is_nil() || b.is_nil()) return a.is_nil() && b.is_nil();
  return wrong(fmt::format("can't compare a {} with a {}", a.type_name(), b.type_name()));
}

Result<bool> less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  if (a.text() && b.text()) return *a.text() < *b.text();
  return wrong(fmt::format("can't order a {} and a {}", a.type_name(), b.type_name()));
}

Result<Value> compare(Arguments a, bool (*judge)(bool less_ab, bool equal_ab)) {
  if (a.size() != 2) return wrong("takes two values");
  QD_ASSIGN(const bool below, less(a[0], a[1]));
  QD_ASSIGN(const bool same, equal(a[0], a[1]));
  return Value(judge(below, same));
}

Result<Value> index(Arguments a) {
  if (a.empty()) return wrong("takes a list or map and its keys");
  Value value = a[0];
  for (const auto& key : a.subspan(1)) {
    if (const auto* map = value.map()) {
      if (!key.text()) return wrong(fmt::format("a map's key is text, not a {}", key.type_name()));
      const auto found = map->find(*key.text());
      value = found == map->end() ? missing_of(*map) : Value(found->second);
    } else if (const auto* list = value.list()) {
      const auto* at = key.integer();
      if (!at || *at < 0 || *at >= static_cast<std::int64_t>(list->size()))
        return wrong(fmt::format("index {} is out of range of {} items", key.to_string(), list->size()));
      value = Value((*list)[static_cast<std::size_t>(*at)]);
    } else {
      return wrong(fmt::format("can't index a {}", value.type_name()));
    }
  }
  return value;
}

Result<Value> slice(Arguments a) {
  if (a.empty() || a.size() > 3) return wrong("takes a list or text, and from and to");
  const auto* text = a[0].text();
  const auto* list = a[0].list();
  if (!text && !list) return wrong(fmt::format("can't slice a {}", a[0].type_name()));
  const auto size = static_cast<std::int64_t>(text ? text->size() : list->size());
  std::int64_t bounds[2] = {0, size};
  for (std::size_t i = 1; i < a.size(); ++i) {
    if (!a[i].integer()) return wrong("from and to must be integers");
    bounds[i - 1] = *a[i].integer();
  }
  if (bounds[0] < 0 || bounds[1] > size || bounds[0] > bounds[1])
    return wrong(fmt::format("{}:{} is out of range of {} items", bounds[0], bounds[1], size));
  const auto from = static_cast<std::size_t>(bounds[0]);
  const auto count = static_cast<std::size_t>(bounds[1] - bounds[0]);
  if (text) return Value(text->substr(from, count));
  return Value(List(list->begin() + bounds[0], list->begin() + bounds[1]));
}

Result<Value> length(Arguments a) {
  if (a.size() != 1) return wrong("takes one value");
  if (a[0].text()) return Value(static_cast<std::int64_t>(a[0].text()->size()));
  if (a[0].list()) return Value(static_cast<std::int64_t>(a[0].list()->size()));
  if (a[0].map()) return Value(static_cast<std::int64_t>(a[0].map()->size()));
  return wrong(fmt::format("a {} has no length", a[0].type_name()));
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else
      out += c;
  }
  return out + "\"";
}

constexpr int kWidthMax = 1000;

// One %verb of Go's fmt with its flags; "%!d(string=x)" where the type does not fit, as Go says it.
std::string format_one(char verb, std::string_view flags, int width, int precision, const Value& value) {
  const bool minus = flags.find('-') != std::string_view::npos;
  const bool zero = flags.find('0') != std::string_view::npos && !minus;
  const bool plus = flags.find('+') != std::string_view::npos;
  const auto misfit = [&] { return fmt::format("%!{}({}={})", verb, value.type_name(), value.to_string()); };
  std::string body;
  bool numeric = false;
  switch (verb) {
    case 'v':
      body = value.to_string();
      break;
    case 's':
      if (value.is_number() || value.boolean()) return misfit();
      body = value.to_string();
      if (precision >= 0) body.resize(std::min(body.size(), static_cast<std::size_t>(precision)));
      break;
    case 'q':
      if (!value.text()) return misfit();
      body = in_quotes(*value.text());
      break;
    case 't':
      if (!value.boolean()) return misfit();
      body = value.to_string();
      break;
    case 'd':
    case 'x':
    case 'X':
    case 'o':
    case 'b':
    case 'c': {
      const auto* i = value.integer();
      if (!i) return misfit();
      if (verb == 'c') {
        body = std::string(1, static_cast<char>(*i));
        break;
      }
      body = verb == 'd'   ? fmt::format("{}", *i)
             : verb == 'x' ? fmt::format("{:x}", *i)
             : verb == 'X' ? fmt::format("{:X}", *i)
             : verb == 'o' ? fmt::format("{:o}", *i)
                           : fmt::format("{:b}", *i);
      numeric = true;
      break;
    }
    case 'e':
    case 'f':
    case 'F':
    case 'g': {
      const auto* f = value.floating();
      if (!f) return misfit();
      if (!std::isfinite(*f))
        body = format_go_float(*f);
      else if (verb == 'e')
        body = fmt::format("{:.{}e}", *f, precision < 0 ? 6 : precision);
      else if (verb == 'g')
        body = precision < 0 ? format_go_float(*f) : fmt::format("{:.{}g}", *f, precision);
      else
        body = fmt::format("{:.{}f}", *f, precision < 0 ? 6 : precision);
      numeric = true;
      break;
    }
    default:
      return misfit();
  }
  if (numeric && plus && !body.starts_with('-') && !body.starts_with('+')) body = "+" + body;
  const auto missing = static_cast<std::size_t>(std::max(0, width - static_cast<int>(body.size())));
  if (missing == 0) return body;
  if (minus) return body + std::string(missing, ' ');
  if (zero && numeric) {
    const std::size_t sign = body.starts_with('-') || body.starts_with('+') ? 1 : 0;
    return body.substr(0, sign) + std::string(missing, '0') + body.substr(sign);
  }
  return std::string(missing, ' ') + body;
}

Result<Value> printf(Arguments a) {
  if (a.empty() || !a[0].text()) return wrong("takes a format");
  const std::string& format = *a[0].text();
  std::string out;
  std::size_t next = 1;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    if (++i >= format.size()) {
      out += "%!(NOVERB)";
      break;
    }
    if (format[i] == '%') {
      out += '%';
      continue;
    }
    const auto flags_from = i;
    while (i < format.size() && std::string_view("+-# 0").find(format[i]) != std::string_view::npos) ++i;
    const auto flags = std::string_view(format).substr(flags_from, i - flags_from);
    const auto number = [&](int otherwise) {
      int value = otherwise;
      const auto parsed = std::from_chars(format.data() + i, format.data() + format.size(), value);
      i = static_cast<std::size_t>(parsed.ptr - format.data());
      return value;
    };
    const int width = number(0);
    int precision = -1;
    if (i < format.size() && format[i] == '.') {
      ++i;
      precision = number(0);
    }
    if (width > kWidthMax || precision > kWidthMax) return wrong(fmt::format("widths go up to {}", kWidthMax));
    if (i >= format.size()) {
      out += "%!(NOVERB)";
      break;
    }
    if (next >= a.size())
      out += fmt::format("%!{}(MISSING)", format[i]);
    else
      out += format_one(format[i], flags, width, precision, a[next++]);
  }
  if (next < a.size()) {
    std::string extra;
    for (; next < a.size(); ++next)
      extra += fmt::format("{}{}={}", extra.empty() ? "" : ", ", a[next].type_name(), a[next].to_string());
    out += "%!(EXTRA " + extra + ")";
  }
  return Value(std::move(out));
}

// As Go's fmt.Sprint: a space between operands when neither is text.
std::string print(Arguments a, bool line) {
  std::string out;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (i > 0 && (line || (!a[i].text() && !a[i - 1].text()))) out += ' ';
    out += a[i].to_string();
  }
  if (line) out += '\n';
  return out;
}

std::string joined(Arguments a) {
  if (a.size() == 1) return a[0].to_string();
  return print(a, false);
}

std::string html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string url_query(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain)
      out += c;
    else if (c == ' ')
      out += '+';
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// For a string literal of JavaScript, as Go's template.JSEscape.
std::string js(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\'':
        out += "\\'";
        break;
      case '"':
        out += "\\\"";
        break;
      case '<':
      case '>':
      case '&':
      case '=':
        out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        else
          out += c;
    }
  }
  return out;
}

Functions make() {
  Functions f;
  // The arguments that decide were seen before these are called.
  f["and"] = f["or"] = [](Arguments a) -> Result<Value> {
    if (a.empty()) return wrong("takes at least one value");
    return a.back();
  };
  f["not"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 1) return wrong("takes one value");
    return Value(!a[0].truth());
  };
  f["eq"] = [](Arguments a) -> Result<Value> {
    if (a.size() < 2) return wrong("takes at least two values");
    for (const auto& other : a.subspan(1)) {
      QD_ASSIGN(const bool same, equal(a[0], other));
      if (same) return Value(true);
    }
    return Value(false);
  };
  f["ne"] = [](Arguments a) -> Result<Value> {
    if (a.size() != 2) return wrong("takes two values");
    QD_ASSIGN(const bool same, equal(a[0], a[1]));
    return Value(!same);
  };
  f["lt"] = [](Arguments a) { return compare(a, [](bool below, bool) { return below; }); };
  f["le"] = [](Arguments a) { return compare(a, [](bool below, bool same) { return below || same; }); };
  f["gt"] = [](Arguments a) { return compare(a, [](bool below, bool same) { return !below && !same; }); };
  f["ge"] = [](Arguments a) { return compare(a, [](bool below, bool) { return !below; }); };
  f["len"] = length;
  f["index"] = index;
  f["slice"] = slice;
  f["printf"] = printf;
  f["print"] = [](Arguments a) -> Result<Value> { return Value(print(a, false)); };
  f["println"] = [](Arguments a) -> Result<Value> { return Value(print(a, true)); };
  f["html"] = [](Arguments a) -> Result<Value> { return Value(html(joined(a))); };
  f["js"] = [](Arguments a) -> Result<Value> { return Value(js(joined(a))); };
  f["urlquery"] = [](Arguments a) -> Result<Value> { return Value(url_query(joined(a))); };
  return f;
}

}  // namespace

const Functions& builtin_functions() {
  static const Functions kFunctions = make();
  return kFunctions;
}

}  // namespace qd::model::tmpl
