// Remarks of a query about its own data: what is suspicious but no error. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "query/promql/ast.h"

namespace qd::query::promql {

class Annotations {
 public:
  // More than this are counted in silence: one broken metric name a series must not fill the memory.
  static constexpr std::size_t kAnnotationsMax = 1000;

  void warn(std::string message, Span span) { add(true, std::move(message), span); }
  void info(std::string message, Span span) { add(false, std::move(message), span); }

  // "PromQL warning: message (1:5)", sorted; without a position when `text` is empty.
  std::vector<std::string> warnings(std::string_view text) const { return list(true, text); }
  std::vector<std::string> infos(std::string_view text) const { return list(false, text); }

 private:
  struct Entry {
    bool warning;
    std::string message;
    Span span;
  };
  void add(bool warning, std::string message, Span span);
  std::vector<std::string> list(bool warning, std::string_view text) const;

  mutable base::Mutex mutex_;
  std::vector<Entry> entries_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::query::promql
