// The structured log: one event a line, a message and named values.
//
//   log.warn("log segment cut", {{"file", path}, {"offset", offset}});
//
// JSON lines where the output is not a terminal, readable lines where it is. Thread-safe; a line is written whole. The
// same message more than `kRepeatsPerMinute` times a minute from one place is counted instead of printed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/clock.h"
#include "base/result.h"

namespace qd::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kAuto, kJson, kText };

Result<LogLevel> parse_log_level(std::string_view text);
Result<LogFormat> parse_log_format(std::string_view text);

struct LogValue {
  LogValue(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogValue(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  LogValue(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  LogValue(std::string_view k, const Error& v) : key(k), value(v.message()) {}
  LogValue(std::string_view k, bool v) : key(k), value(v) {}
  LogValue(std::string_view k, double v) : key(k), value(v) {}
  template <typename T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  LogValue(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}

  std::string_view key;
  std::variant<std::string, bool, double, std::int64_t> value;
};

class Log {
 public:
  // Writes to `fd`, which outlives the log and stays the caller's.
  Log(const Clock& clock, int fd, LogFormat format, LogLevel level);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // A log that goes nowhere; lives as long as the process. For tests and tools.
  static Log& silent();

  void set_level(LogLevel level);

  void debug(std::string_view message, std::initializer_list<LogValue> values = {}) {
    write(LogLevel::kDebug, message, values);
  }
  void info(std::string_view message, std::initializer_list<LogValue> values = {}) {
    write(LogLevel::kInfo, message, values);
  }
  void warn(std::string_view message, std::initializer_list<LogValue> values = {}) {
    write(LogLevel::kWarn, message, values);
  }
  void error(std::string_view message, std::initializer_list<LogValue> values = {}) {
    write(LogLevel::kError, message, values);
  }
  // At level info and never held back: for lines that are themselves the record, such as an access log.
  void record(std::string_view message, std::initializer_list<LogValue> values) {
    write(LogLevel::kInfo, message, values, false);
  }

  static constexpr int kRepeatsPerMinute = 60;

 private:
  struct State;
  void write(LogLevel level, std::string_view message, std::initializer_list<LogValue> values,
             bool hold_repeats = true);
  std::unique_ptr<State> state_;
};

}  // namespace qd::base
