#include "model/otlp/any_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/json_text.h"

namespace qd::model::otlp {

namespace {

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += k <= have ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

}  // namespace

std::string id_text(std::string_view hex, std::size_t bytes) {
  std::string id;
  if (hex.size() != 2 * bytes) return id;
  bool any = false;
  for (const char c : hex) {
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (!(lower >= '0' && lower <= '9') && !(lower >= 'a' && lower <= 'f')) return {};
    any = any || lower != '0';
    id += lower;
  }
  return any ? id : std::string();
}

void AnyText::separate() {
  if (depth_ > 0 && !std::exchange(first_, false)) out_ += ',';
}

void AnyText::text(std::string_view value) {
  separate();
  if (depth_ == 0) {
    out_ += value;
  } else {
    base::append_json_text(out_, value);
  }
}

void AnyText::plain(std::string_view value) {
  separate();
  out_ += value;
}

void AnyText::bytes(std::string_view value) {
  text(base64(value));
}

void AnyText::nothing() {
  if (depth_ > 0) plain("null");
}

void AnyText::open(char bracket) {
  separate();
  out_ += bracket;
  ++depth_;
  first_ = true;
}

void AnyText::key(std::string_view name) {
  separate();
  base::append_json_text(out_, name);
  out_ += ':';
  first_ = true;
}

void AnyText::close(char bracket) {
  out_ += bracket;
  --depth_;
  first_ = false;
}

std::string AnyText::take() {
  return std::exchange(out_, {});
}

}  // namespace qd::model::otlp
