// Writes JSON as it goes, straight into a string: no tree, no copies.
//
//   JsonWriter json(out);
//   json.begin_object().key("status").text("success").key("data").begin_array() … .end_array().end_object();
//
// Commas come by themselves. Text that is not UTF-8 is written with U+FFFD in place of each bad byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qd::serve {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& text(std::string_view value);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& unsigned_integer(std::uint64_t value);
  // As JSON has it: null for NaN and infinities.
  JsonWriter& number(double value);
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  // JSON that somebody else wrote.
  JsonWriter& raw(std::string_view json);

  // key and value of an object.
  JsonWriter& field(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& field(std::string_view name, const char* value) { return key(name).text(value); }
  JsonWriter& field(std::string_view name, bool value) { return key(name).boolean(value); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();

  std::string& out_;
  bool first_ = true;
};

}  // namespace qd::serve
