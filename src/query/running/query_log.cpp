#include "query/running/query_log.h"

#include <fmt/format.h>

#include <utility>

#include "base/bytes.h"
#include "base/format.h"
#include "base/json_text.h"
#include "base/strings.h"

namespace qd::query::running {

namespace {

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

std::string line_of(const LoggedQuery& query, std::int64_t now_ms) {
  std::string out = "{\"params\":{\"query\":";
  base::append_json_text(out, query.text);
  base::append_format(out, R"(,"start":"{}","end":"{}","step":)", base::format_time(query.start_ms),
                      base::format_time(query.end_ms));
  base::append_float(out, static_cast<double>(query.step_ms) / 1000);
  out += '}';
  if (query.error != nullptr) {
    out += ",\"error\":";
    base::append_json_text(out, query.error->message());
  }
  const double preparing = seconds(query.stats.parse_ns);
  const double evaluating = seconds(query.stats.evaluate_ns);
  const double waiting = seconds(query.queue_ns);
  base::append_format(out,
                      R"(,"stats":{{"timings":{{"evalTotalTime":{},"resultSortTime":0,"queryPreparationTime":{},)"
                      R"("innerEvalTime":{},"execQueueTime":{},"execTotalTime":{}}},)"
                      R"("samples":{{"totalQueryableSamples":{},"peakSamples":{}}}}},"ts":"{}")",
                      preparing + evaluating, preparing, evaluating, waiting, waiting + preparing + evaluating,
                      query.stats.samples_read, query.stats.samples_peak, base::format_time(now_ms));
  const Asker& asker = query.asker;
  if (!asker.path.empty()) {
    out += ",\"httpRequest\":{\"clientIP\":";
    base::append_json_text(out, asker.client_ip);
    out += ",\"method\":";
    base::append_json_text(out, asker.method);
    out += ",\"path\":";
    base::append_json_text(out, asker.path);
    out += '}';
  }
  if (!asker.rule_group.empty()) {
    out += ",\"ruleGroup\":{\"file\":";
    base::append_json_text(out, asker.rule_file);
    out += ",\"name\":";
    base::append_json_text(out, asker.rule_group);
    out += '}';
  }
  out += ",\"principal\":";
  base::append_json_text(out, asker.principal);
  out += "}\n";
  return out;
}

}  // namespace

QueryLog::QueryLog(base::Files& files, const base::Clock& clock, base::Log& log, base::Registry& registry)
    : files_(files),
      clock_(clock),
      log_(log),
      enabled_gauge_(registry.gauge("prometheus_engine_query_log_enabled", "State of the query log.")),
      failures_(registry.counter("prometheus_engine_query_log_failures_total", "The number of query log failures.")) {}

void QueryLog::reopen(const std::filesystem::path& path) {
  base::MutexLock lock(mutex_);
  file_.reset();
  path_ = path;
  torn_ = false;
  told_ = false;
  size_ = 0;
  if (!path.empty()) {
    auto file = files_.open_append(path);
    const auto size = file ? (*file)->size() : base::Result<std::uint64_t>(0);
    if (file && size) {
      file_ = std::move(*file);
      size_ = *size;
    } else {
      failures_.add();
      log_.error("the query log cannot be opened: queries are not logged (query.log_file)",
                 {{"error", file ? size.error() : file.error()}});
    }
  }
  enabled_ = file_ != nullptr;
  enabled_gauge_.set(file_ != nullptr ? 1 : 0);
}

void QueryLog::write(const LoggedQuery& query) {
  if (!enabled()) return;
  const std::string line = line_of(query, clock_.wall_ms());
  base::MutexLock lock(mutex_);
  if (!file_) return;
  base::Status written;
  // What a failure left half a line of goes first, so that every line is whole.
  if (torn_) written = file_->truncate(size_);
  if (written) {
    torn_ = false;
    written = file_->append(base::as_bytes(line));
  }
  if (written) {
    size_ += line.size();
    if (std::exchange(told_, false)) log_.info("queries are logged again", {{"file", path_.native()}});
    return;
  }
  torn_ = true;
  failures_.add();
  if (!std::exchange(told_, true)) {
    log_.error("a query could not be logged, nor may the next (query.log_file): they run all the same",
               {{"error", written.error()}});
  }
}

}  // namespace qd::query::running
