// What a template works on: nil, booleans, numbers, text, times, durations, lists and maps.
//
// A value; lists and maps are shared and never change once they are in a template's hands.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qd::model::tmpl {

class Value;
using List = std::vector<Value>;
using Map = std::map<std::string, Value, std::less<>>;

struct Time {
  std::int64_t unix_ns = 0;
};
struct Duration {
  std::int64_t ns = 0;
};

class Value {
 public:
  Value() = default;
  Value(bool v) : held_(v) {}
  Value(int v) : held_(static_cast<std::int64_t>(v)) {}
  Value(std::int64_t v) : held_(v) {}
  Value(double v) : held_(v) {}
  Value(std::string v) : held_(std::move(v)) {}
  Value(std::string_view v) : held_(std::string(v)) {}
  Value(const char* v) : held_(std::string(v)) {}
  Value(Time v) : held_(v) {}
  Value(Duration v) : held_(v) {}
  Value(List v) : held_(std::make_shared<const List>(std::move(v))) {}
  Value(Map v) : held_(std::make_shared<const Map>(std::move(v))) {}

  bool is_nil() const { return std::holds_alternative<std::monostate>(held_); }
  const bool* boolean() const { return std::get_if<bool>(&held_); }
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&held_); }
  const double* floating() const { return std::get_if<double>(&held_); }
  const std::string* text() const { return std::get_if<std::string>(&held_); }
  const Time* time() const { return std::get_if<Time>(&held_); }
  const Duration* duration() const { return std::get_if<Duration>(&held_); }
  const List* list() const;
  const Map* map() const;
  bool is_number() const { return integer() != nullptr || floating() != nullptr; }
  // 0 for what is no number.
  double number() const;

  // As Go's text/template judges: false, 0, "", nil, no duration, and empty lists and maps are not true.
  bool truth() const;
  // "string", "float64", "map", …: for error messages.
  std::string_view type_name() const;
  // As Go's fmt %v prints it.
  std::string to_string() const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Time, Duration, std::shared_ptr<const List>,
               std::shared_ptr<const Map>>
      held_;
};

// What a map has for a key that is not there: no text where all that it holds are texts, as Go has it for them; nil
// otherwise.
Value missing_of(const Map& map);

// A float as Go's %v prints it: shortest digits, exponent form from 1e6 on and below 1e-4.
std::string format_go_float(double value);

}  // namespace qd::model::tmpl
