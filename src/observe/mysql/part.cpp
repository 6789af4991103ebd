#include "observe/mysql/part.h"

#include <algorithm>

#include "base/strings.h"
#include "observe/utf8.h"

namespace qd::observe::mysql {
namespace {

bool is_word(std::string_view text, std::string_view word) {
  return text.size() == word.size() &&
         std::ranges::equal(text, word, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

}  // namespace

std::optional<double> status_value(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto first = static_cast<unsigned char>(text.front());
  if (first >= 'A') {
    // "Connecting" is what Slave_IO_Running says of a replica that does not run yet; the last three are
    // wsrep_cluster_status.
    for (const std::string_view word : {"yes", "on", "primary"}) {
      if (is_word(text, word)) return 1;
    }
    for (const std::string_view word : {"no", "off", "disabled", "connecting", "non-primary", "disconnected"}) {
      if (is_word(text, word)) return 0;
    }
  }
  return base::parse_float(text);
}

void append_name(std::string& name, std::string_view text) {
  for (const char c : text) {
    if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c - 'A' + 'a');
    } else {
      const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      name += fits ? c : '_';
    }
  }
}

std::string_view LabelText::operator()(std::string_view text) {
  if (text.size() > kLabelBytesMax) {
    std::size_t end = kLabelBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end);
  }
  if (base::valid_utf8(text)) return text;
  made_ = text;
  make_utf8(made_);
  return made_;
}

const std::vector<bool>& Repeats::find() {
  repeated_.assign(hashes_.size(), false);
  order_.clear();
  for (std::size_t at = 0; at < hashes_.size(); ++at) order_.push_back({hashes_[at], at});
  std::ranges::sort(order_,
                    [](const Place& a, const Place& b) { return a.hash != b.hash ? a.hash < b.hash : a.at < b.at; });
  for (std::size_t n = 1; n < order_.size(); ++n) {
    if (order_[n].hash == order_[n - 1].hash) repeated_[order_[n].at] = true;
  }
  return repeated_;
}

}  // namespace qd::observe::mysql
