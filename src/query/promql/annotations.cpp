#include "query/promql/annotations.h"

#include <fmt/format.h>

#include <algorithm>

#include "query/promql/lexer.h"

namespace qd::query::promql {

void Annotations::add(bool warning, std::string message, Span span) {
  const base::MutexLock lock(mutex_);
  if (entries_.size() >= kAnnotationsMax) return;
  for (const Entry& entry : entries_) {
    if (entry.warning == warning && entry.span.begin == span.begin && entry.message == message) return;
  }
  entries_.push_back({warning, std::move(message), span});
}

std::vector<std::string> Annotations::list(bool warning, std::string_view text) const {
  std::vector<std::string> out;
  {
    const base::MutexLock lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.warning != warning) continue;
      std::string line = fmt::format("PromQL {}: {}", warning ? "warning" : "info", entry.message);
      if (!text.empty()) line += fmt::format(" ({})", position(text, entry.span.begin));
      out.push_back(std::move(line));
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace qd::query::promql
