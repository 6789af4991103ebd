#include "model/template/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/strings.h"
#include "model/template/time_value.h"

namespace qd::model::tmpl {

const List* Value::list() const {
  const auto* held = std::get_if<std::shared_ptr<const List>>(&held_);
  return held ? held->get() : nullptr;
}

const Map* Value::map() const {
  const auto* held = std::get_if<std::shared_ptr<const Map>>(&held_);
  return held ? held->get() : nullptr;
}

double Value::number() const {
  if (const auto* i = integer()) return static_cast<double>(*i);
  if (const auto* f = floating()) return *f;
  return 0;
}

bool Value::truth() const {
  if (const auto* b = boolean()) return *b;
  if (is_number()) return number() != 0;
  if (const auto* t = text()) return !t->empty();
  if (const auto* d = duration()) return d->ns != 0;
  if (time()) return true;
  if (const auto* l = list()) return !l->empty();
  if (const auto* m = map()) return !m->empty();
  return false;
}

std::string_view Value::type_name() const {
  if (is_nil()) return "nil";
  if (boolean()) return "bool";
  if (integer()) return "int";
  if (floating()) return "float64";
  if (text()) return "string";
  if (time()) return "time.Time";
  if (duration()) return "time.Duration";
  return list() ? "list" : "map";
}

// From here on %v prints an exponent.
constexpr int kPlainExponentMax = 6;

std::string format_go_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view scientific(buffer, static_cast<std::size_t>(end - buffer));
  int exponent = 0;
  const auto digits = scientific.substr(scientific.rfind('e') + 1);
  std::from_chars(digits.data() + (digits.front() == '+' ? 1 : 0), digits.data() + digits.size(), exponent);
  return exponent >= -4 && exponent < kPlainExponentMax ? base::format_float(value) : std::string(scientific);
}

Value missing_of(const Map& map) {
  const bool texts =
      std::all_of(map.begin(), map.end(), [](const auto& item) { return item.second.text() != nullptr; });
  return texts ? Value("") : Value();
}

std::string Value::to_string() const {
  if (is_nil()) return "<nil>";
  if (const auto* b = boolean()) return *b ? "true" : "false";
  if (const auto* i = integer()) return std::to_string(*i);
  if (const auto* f = floating()) return format_go_float(*f);
  if (const auto* t = text()) return *t;
  if (const auto* t = time()) return format_go_time(*t, "2006-01-02 15:04:05.999999999 -0700 MST");
  if (const auto* d = duration()) return format_go_duration(*d);
  std::string out;
  if (const auto* l = list()) {
    for (const auto& item : *l) out.append(out.empty() ? "" : " ").append(item.to_string());
    return "[" + out + "]";
  }
  for (const auto& [key, item] : *map())
    out.append(out.empty() ? "" : " ").append(key).append(":").append(item.to_string());
  return "map[" + out + "]";
}

}  // namespace qd::model::tmpl
