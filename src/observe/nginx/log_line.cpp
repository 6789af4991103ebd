#include "observe/nginx/log_line.h"

#include <algorithm>
#include <cstring>

namespace qd::observe::nginx {
namespace {

// Deeper nesting is not read.
constexpr int kNestingMax = 32;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_status(std::string_view text) {
  return text.size() == 3 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "GET /path HTTP/1.1" is GET. What is no request line has no method.
std::string_view method_of(std::string_view request) {
  const std::size_t blank = request.find(' ');
  return blank == std::string_view::npos ? std::string_view() : request.substr(0, blank);
}

// What a JSON line may call one thing, the best name last.
struct Choice {
  std::string_view value;
  int rank = 0;

  void offer(int offered_rank, std::string_view offered) {
    if (offered.empty() || offered_rank < rank) return;
    rank = offered_rank;
    value = offered;
  }
};

class JsonLine {
 public:
  explicit JsonLine(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  std::optional<LogLine> read() {
    ++at_;  // the brace
    skip_blanks();
    if (at_ != end_ && *at_ == '}') return std::nullopt;
    for (;;) {
      skip_blanks();
      std::string_view key;
      if (!quoted(key)) return std::nullopt;
      skip_blanks();
      if (at_ == end_ || *at_ != ':') return std::nullopt;
      ++at_;
      skip_blanks();
      if (at_ == end_) return std::nullopt;
      if (*at_ == '{' || *at_ == '[') {
        if (!skip_nested()) return std::nullopt;
      } else {
        std::string_view value;
        if (*at_ == '"') {
          if (!quoted(value)) return std::nullopt;
        } else {
          value = bare();
          if (value == "null") value = {};
        }
        if (value != "-") take(key, value);
      }
      skip_blanks();
      if (at_ == end_) return std::nullopt;
      const char next = *at_++;
      if (next == '}') break;
      if (next != ',') return std::nullopt;
    }
    skip_blanks();
    if (at_ != end_ || !is_status(line_.status)) return std::nullopt;
    line_.method = method_.value;
    line_.host = host_.value;
    line_.response_bytes = response_bytes_.value;
    return line_;
  }

 private:
  void skip_blanks() {
    while (at_ != end_ && is_blank(*at_)) ++at_;
  }

  bool quoted(std::string_view& value) {
    if (at_ == end_ || *at_ != '"') return false;
    const char* const from = ++at_;
    for (;;) {
      const void* found = std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_));
      if (found == nullptr) return false;
      const char* const quote = static_cast<const char*>(found);
      const char* escape = quote;
      while (escape != from && escape[-1] == '\\') --escape;
      at_ = quote + 1;
      if ((quote - escape) % 2 != 0) continue;
      value = {from, static_cast<std::size_t>(quote - from)};
      return true;
    }
  }

  // Up to the comma in front of the next key, or the brace.
  std::string_view bare() {
    const char* const from = at_;
    for (; at_ != end_ && *at_ != '}'; ++at_) {
      if (*at_ != ',') continue;
      const char* next = at_ + 1;
      while (next != end_ && is_blank(*next)) ++next;
      if (next == end_ || *next == '"') break;
    }
    return trimmed({from, static_cast<std::size_t>(at_ - from)});
  }

  bool skip_nested() {
    int depth = 0;
    while (at_ != end_) {
      const char c = *at_;
      if (c == '"') {
        std::string_view ignored;
        if (!quoted(ignored)) return false;
        continue;
      }
      ++at_;
      if ((c == '{' || c == '[') && ++depth > kNestingMax) return false;
      if ((c == '}' || c == ']') && --depth == 0) return true;
    }
    return false;
  }

  void take(std::string_view key, std::string_view value) {
    switch (key.size()) {
      case 4:
        if (key == "host") host_.offer(1, value);
        break;
      case 6:
        if (key == "status") line_.status = value;
        if (key == "method") method_.offer(1, value);
        break;
      case 7:
        if (key == "request") method_.offer(0, method_of(value));
        break;
      case 9:
        if (key == "http_host") host_.offer(0, value);
        break;
      case 10:
        if (key == "bytes_sent") response_bytes_.offer(0, value);
        break;
      case 11:
        if (key == "server_name") host_.offer(2, value);
        break;
      case 12:
        if (key == "request_time") line_.request_time = value;
        break;
      case 13:
        if (key == "upstream_addr") line_.upstream_addr = value;
        break;
      case 14:
        if (key == "request_method") method_.offer(2, value);
        if (key == "request_length") line_.request_bytes = value;
        break;
      case 15:
        if (key == "body_bytes_sent") response_bytes_.offer(1, value);
        if (key == "upstream_status") line_.upstream_status = value;
        break;
      case 21:
        if (key == "upstream_connect_time") line_.upstream_connect_time = value;
        break;
      case 22:
        if (key == "upstream_response_time") line_.upstream_time = value;
        break;
      default:
        break;
    }
  }

  const char* at_;
  const char* end_;
  LogLine line_;
  Choice method_;
  Choice host_;
  Choice response_bytes_;
};

// addr - user [time] "request" status bytes "referer" "agent". nginx writes a quote within a variable as \x22, so that
// the first two quotes are the request's.
std::optional<LogLine> parse_combined(std::string_view text) {
  const std::size_t open = text.find('"');
  if (open == std::string_view::npos) return std::nullopt;
  const std::size_t close = text.find('"', open + 1);
  if (close == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(close + 1);
  if (!rest.starts_with(' ')) return std::nullopt;
  rest.remove_prefix(1);
  LogLine line;
  line.status = rest.substr(0, rest.find(' '));
  if (!is_status(line.status)) return std::nullopt;
  rest.remove_prefix(std::min(rest.size(), line.status.size() + 1));
  line.response_bytes = trimmed(rest.substr(0, rest.find(' ')));
  if (line.response_bytes == "-") line.response_bytes = {};
  line.method = method_of(text.substr(open + 1, close - open - 1));
  return line;
}

}  // namespace

std::optional<LogLine> parse_log_line(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('{')) return JsonLine(text).read();
  return parse_combined(text);
}

std::string_view next_item(std::string_view& list) {
  std::size_t end = 0;
  std::size_t separator = 0;
  while (end < list.size()) {
    if (list[end] == ',') {
      separator = 1;
      break;
    }
    if (list[end] == ' ' && list.substr(end).starts_with(" : ")) {
      separator = 3;
      break;
    }
    ++end;
  }
  const std::string_view item = trimmed(list.substr(0, end));
  list.remove_prefix(end + separator);
  return item == "-" ? std::string_view() : item;
}

}  // namespace qd::observe::nginx
