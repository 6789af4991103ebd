#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <map>

#include "base/format.h"
#include "base/mutex.h"
#include "base/strings.h"

namespace qd::base {
namespace {

constexpr std::int64_t kWindowNs = 60'000'000'000;
// Messages are literals, so this is never met but by a caller that puts values into the message.
constexpr std::size_t kMessagesTrackedMax = 1024;
constexpr std::size_t kValueBytesMax = 8 * 1024;
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// Length of the well-formed UTF-8 sequence at `at`, or 0.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return at + n <= text.size() && valid_utf8(text.substr(at, n)) ? n : 0;
}

// Between quotes as JSON has it; bytes that are not UTF-8 become U+FFFD. Nothing that moves a terminal's cursor passes.
void append_quoted(std::string& out, std::string_view text) {
  const bool cut = text.size() > kValueBytesMax;
  if (cut) text = text.substr(0, kValueBytesMax);
  out.push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t n = sequence_length(text, i);
    if (n == 0) {
      out.append(kReplacement);
      ++i;
      continue;
    }
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (c < 0x20 || c == 0x7f) {
      append_format(out, "\\u{:04x}", c);
    } else if (c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      append_format(out, "\\u{:04x}", static_cast<unsigned char>(text[i + 1]));  // C1 controls
    } else {
      out.append(text.substr(i, n));
    }
    i += n;
  }
  if (cut) out.append("...");
  out.push_back('"');
}

bool plain_word(std::string_view text) {
  return !text.empty() && text.size() <= kValueBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

void append_number(std::string& out, double value, bool json) {
  if (json && !std::isfinite(value)) {
    append_quoted(out, format_float(value));
  } else {
    append_float(out, value);
  }
}

void append_value(std::string& out, const LogValue& value, bool json) {
  if (const auto* text = std::get_if<std::string>(&value.value)) {
    if (!json && plain_word(*text)) {
      out.append(*text);
    } else {
      append_quoted(out, *text);
    }
  } else if (const auto* flag = std::get_if<bool>(&value.value)) {
    out.append(*flag ? "true" : "false");
  } else if (const auto* number = std::get_if<double>(&value.value)) {
    append_number(out, *number, json);
  } else {
    out.append(fmt::to_string(std::get<std::int64_t>(value.value)));
  }
}

void write_whole(int fd, std::string_view line) {
  while (!line.empty()) {
    const ssize_t n = ::write(fd, line.data(), line.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // there is nobody left to tell
    line.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError})
    if (name_of(level) == text) return level;
  return fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not a log level; use debug, info, warn or error", text));
}

Result<LogFormat> parse_log_format(std::string_view text) {
  if (text == "auto") return LogFormat::kAuto;
  if (text == "json") return LogFormat::kJson;
  if (text == "text") return LogFormat::kText;
  return fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not a log format; use auto, json or text", text));
}

struct Log::State {
  struct Repeats {
    std::int64_t window_start_ns = 0;
    int printed = 0;
    std::uint64_t not_shown = 0;
  };

  const Clock& clock;
  const int fd;
  const bool json;
  std::atomic<LogLevel> level;
  Mutex mutex;
  std::map<std::string, Repeats, std::less<>> repeats QD_GUARDED_BY(mutex);

  State(const Clock& a_clock, int a_fd, bool is_json, LogLevel a_level)
      : clock(a_clock), fd(a_fd), json(is_json), level(a_level) {}

  // False when the message was said often enough in this minute. `not_shown` is what the last minute held back.
  bool may_print(std::string_view message, std::uint64_t& not_shown) QD_REQUIRES(mutex) {
    const std::int64_t now_ns = clock.monotonic_ns();
    auto it = repeats.find(message);
    if (it == repeats.end()) {
      if (repeats.size() >= kMessagesTrackedMax) repeats.clear();
      it = repeats.emplace(std::string(message), Repeats{.window_start_ns = now_ns}).first;
    }
    Repeats& seen = it->second;
    if (now_ns - seen.window_start_ns >= kWindowNs) {
      not_shown = seen.not_shown;
      seen = Repeats{.window_start_ns = now_ns};
    }
    if (seen.printed >= kRepeatsPerMinute) {
      ++seen.not_shown;
      return false;
    }
    ++seen.printed;
    return true;
  }

  std::string line(LogLevel line_level, std::string_view message, std::initializer_list<LogValue> values,
                   std::uint64_t not_shown) const {
    std::string out;
    if (json) {
      out = fmt::format(R"({{"time":"{}","level":"{}","message":)", format_time(clock.wall_ms()), name_of(line_level));
      append_quoted(out, message);
      for (const LogValue& value : values) {
        out.push_back(',');
        append_quoted(out, value.key);
        out.push_back(':');
        append_value(out, value, true);
      }
      if (not_shown > 0) append_format(out, R"(,"repeats_not_shown":{})", not_shown);
      out.append("}\n");
      return out;
    }
    out = fmt::format("{} {:<5} ", format_time(clock.wall_ms()), name_of(line_level));
    std::string quoted;
    append_quoted(quoted, message);
    out.append(quoted, 1, quoted.size() - 2);
    for (const LogValue& value : values) {
      out.push_back(' ');
      out.append(value.key);
      out.push_back('=');
      append_value(out, value, false);
    }
    if (not_shown > 0) append_format(out, " repeats_not_shown={}", not_shown);
    out.push_back('\n');
    return out;
  }
};

Log::Log(const Clock& clock, int fd, LogFormat format, LogLevel level)
    : state_(std::make_unique<State>(
          clock, fd, format == LogFormat::kJson || (format == LogFormat::kAuto && ::isatty(fd) != 1), level)) {}

Log::~Log() = default;

Log& Log::silent() {
  // Never destroyed: other objects may log to it while the process ends.
  static const SystemClock* const clock = new SystemClock();
  static Log* const log = new Log(*clock, -1, LogFormat::kText, LogLevel::kError);
  return *log;
}

void Log::set_level(LogLevel level) {
  state_->level.store(level, std::memory_order_relaxed);
}

void Log::write(LogLevel level, std::string_view message, std::initializer_list<LogValue> values, bool hold_repeats) {
  if (state_->fd < 0 || level < state_->level.load(std::memory_order_relaxed)) return;
  MutexLock lock(state_->mutex);
  std::uint64_t not_shown = 0;
  if (hold_repeats && !state_->may_print(message, not_shown)) return;
  write_whole(state_->fd, state_->line(level, message, values, not_shown));
}

}  // namespace qd::base
