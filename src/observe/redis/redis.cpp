#include "observe/redis/redis.h"

#include <array>
#include <utility>

#include "observe/redis/families.h"
#include "observe/redis/tell.h"
#include "observe/utf8.h"

namespace qd::observe::redis {

RedisCollector::RedisCollector(Options options, const base::Clock& clock)
    : options_(std::move(options)), clock_(clock), session_(options_, clock), streams_(options_.streams) {}

RedisCollector::~RedisCollector() = default;

base::Status RedisCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  const std::int64_t from_ns = clock_.monotonic_ns();
  trouble_.reset();
  connect_seconds_ = 0;
  session_.next_pass();
  const base::Status status = read(deadline_ns);
  if (!status) {
    session_.close();
    trouble_ = status.error();
  } else if (const base::Status rest = read_rest(deadline_ns); !rest) {
    session_.close();
    trouble_ = rest.error();
  }
  if (status && !trouble_) trouble_ = session_.missing_rights();
  if (status && !trouble_) trouble_ = session_.note();

  tell_pass(sink, status.has_value(), from_ns);
  if (!status) return {};
  info_.tell(sink, extras_.databases(), clock_.wall_ms() / 1000, start_s_);
  extras_.tell(sink, info_);
  streams_.tell(sink);
  sentinel_.tell(sink);
  return {};
}

base::Status RedisCollector::read(std::int64_t deadline_ns) {
  const bool kept = session_.is_open();
  if (!kept) QD_TRY(open(deadline_ns));
  base::Status status = read_info(deadline_ns);
  // Servers close connections that were idle, and all of them when they start anew.
  if (!status && kept && !session_.is_open() && status.error().code() == base::ErrorCode::kUnavailable) {
    QD_TRY(open(deadline_ns));
    status = read_info(deadline_ns);
  }
  return status;
}

base::Status RedisCollector::open(std::int64_t deadline_ns) {
  const std::int64_t from_ns = clock_.monotonic_ns();
  const base::Status status = session_.open(deadline_ns);
  connect_seconds_ = static_cast<double>(clock_.monotonic_ns() - from_ns) / 1e9;
  return status;
}

base::Status RedisCollector::read_info(std::int64_t deadline_ns) {
  const auto ask = [&](std::initializer_list<std::string_view> words) {
    std::string request;
    append_command(request, words);
    replies_.clear();
    return session_.ask(request, 1, replies_, deadline_ns);
  };
  QD_TRY(ask({"INFO", "ALL"}));
  // Proxies and early servers know only INFO.
  if (replies_[0].is_error() && replies_[0].text().starts_with("ERR")) QD_TRY(ask({"INFO"}));
  if (replies_[0].is_error()) return base::fail(session_.explain(replies_[0].text()));
  info_text_ = replies_[0].text();
  make_utf8(info_text_);
  info_.parse(info_text_);
  return {};
}

base::Status RedisCollector::read_rest(std::int64_t deadline_ns) {
  sentinel_.clear();
  streams_.clear();
  QD_TRY(extras_.ask(session_, info_, deadline_ns));
  if (info_.is_sentinel()) return sentinel_.ask(session_, deadline_ns);
  return streams_.ask(session_, trouble_, deadline_ns);
}

void RedisCollector::tell_pass(Sink& sink, bool up, std::int64_t from_ns) {
  const double seconds = static_cast<double>(clock_.monotonic_ns() - from_ns) / 1e9;
  pass_seconds_ += seconds;
  ++passes_;
  tell_one(sink, kUp, up ? 1 : 0);
  error_text_.clear();
  if (!up) error_text_ = trouble_->message();
  make_utf8(error_text_);
  begin(sink, kLastError);
  sink.sample({{"err", error_text_}}, up ? 0 : 1);
  tell_one(sink, kLastDuration, seconds);
  tell_one(sink, kConnectTime, connect_seconds_);
  tell_one(sink, kScrapes, passes_);
  begin(sink, kScrapeDuration);
  sink.sample("_sum", {}, pass_seconds_);
  sink.sample("_count", {}, passes_);
}

}  // namespace qd::observe::redis
