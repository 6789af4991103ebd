#include "observe/redis/extras.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/strings.h"
#include "observe/redis/families.h"
#include "observe/redis/tell.h"
#include "observe/utf8.h"

namespace qd::observe::redis {
namespace {

constexpr std::size_t kEventsMax = 200;
constexpr std::size_t kBucketsMax = 100;
constexpr std::size_t kOutputClassesMax = 16;
// Where the server does not say; its own default.
constexpr std::size_t kDatabasesDefault = 16;

struct Setting {
  std::string_view key;
  const FamilyInfo& family;
};
const Setting kSettings[] = {{"io-threads", kConfigIoThreads},
                             {"maxclients", kConfigMaxClients},
                             {"maxmemory", kConfigMaxMemory},
                             {"repl-backlog-size", kConfigBacklog}};
constexpr std::string_view kOutputLimits = "client-output-buffer-limit";

std::string_view take_word(std::string_view& text) {
  const auto end = text.find(' ');
  const std::string_view word = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return word;
}

}  // namespace

base::Status Extras::ask(Session& session, Info& info, std::int64_t deadline_ns) {
  replies_.clear();
  request_.clear();
  config_.clear();
  latest_ = histograms_ = slowlog_len_ = slowlog_get_ = {};
  std::ranges::fill(commandlog_, Reply{});
  databases_ = info.is_sentinel() ? 0 : info.is_cluster() ? 1 : kDatabasesDefault;
  if (info.is_sentinel()) return {};
  one_database_ = info.is_cluster();

  struct Asked {
    Ask ask;
    Reply* into;
  };
  std::vector<Asked> asked;
  Reply cluster;
  const auto add = [&](Ask ask, Reply* into, std::initializer_list<std::string_view> words) {
    if (!session.may(ask)) return;
    append_command(request_, words);
    asked.push_back({ask, into});
  };
  // By name and not all: the others are of no use here, and passwords are among them.
  if (info.major_version() >= 7) {
    add(Ask::kConfig, nullptr,
        {"CONFIG", "GET", "databases", "io-threads", "maxclients", "maxmemory", "repl-backlog-size", kOutputLimits,
         "commandlog-*"});
  } else {
    for (const char* key : {"databases", "io-threads", "maxclients", "maxmemory", "repl-backlog-size"}) {
      add(Ask::kConfig, nullptr, {"CONFIG", "GET", key});
    }
    add(Ask::kConfig, nullptr, {"CONFIG", "GET", kOutputLimits});
  }
  if (info.is_cluster()) add(Ask::kCluster, &cluster, {"CLUSTER", "INFO"});
  add(Ask::kLatest, &latest_, {"LATENCY", "LATEST"});
  if (info.major_version() >= 7) add(Ask::kHistogram, &histograms_, {"LATENCY", "HISTOGRAM"});
  add(Ask::kSlowlogLen, &slowlog_len_, {"SLOWLOG", "LEN"});
  add(Ask::kSlowlogGet, &slowlog_get_, {"SLOWLOG", "GET", "1"});
  if (info.has_commandlog()) {
    add(Ask::kCommandlog, &commandlog_[0], {"COMMANDLOG", "LEN", "slow"});
    add(Ask::kCommandlog, &commandlog_[1], {"COMMANDLOG", "LEN", "large-request"});
    add(Ask::kCommandlog, &commandlog_[2], {"COMMANDLOG", "LEN", "large-reply"});
  }
  if (asked.empty()) return {};
  const base::Status status = session.ask(request_, asked.size(), replies_, deadline_ns);
  for (std::size_t i = 0; i < std::min(asked.size(), replies_.size()); ++i) {
    const Reply reply = replies_[i];
    if (reply.is_error()) {
      session.refused(asked[i].ask, reply.text());
    } else if (asked[i].into != nullptr) {
      *asked[i].into = reply;
    } else {
      take_config(reply);
    }
  }
  if (cluster) {
    cluster_ = cluster.text();
    info.parse_cluster(cluster_);
  }
  return status;
}

void Extras::take_config(const Reply& reply) {
  for (Reply key = reply.first(); key;) {
    const Reply value = key.next();
    if (!value) return;
    config_.emplace_back(key.text(), value.text());
    if (key.text() == "databases") {
      const auto number = base::parse_float(value.text());
      if (number && *number >= 1 && !one_database_) {
        databases_ = static_cast<std::size_t>(std::min(*number, static_cast<double>(kDatabasesMax)));
      }
    }
    key = value.next();
  }
}

void Extras::tell(Sink& sink, const Info& info) {
  tell_config(sink);
  tell_latest(sink);
  tell_histograms(sink, info);
  if (slowlog_len_.kind() == Reply::Kind::kInteger) {
    tell_one(sink, kSlowlogLength, static_cast<double>(slowlog_len_.integer()));
  }
  // An empty log is told as zeros. An entry is its number, its time, its duration in microseconds, its words, …
  if (slowlog_get_.kind() == Reply::Kind::kArray) {
    const Reply number = slowlog_get_.first().first();
    tell_one(sink, kSlowlogLast, static_cast<double>(number.integer()));
    tell_one(sink, kSlowlogDuration, static_cast<double>(number.next().next().integer()) / 1e6);
  }
  for (std::size_t i = 0; i < std::size(commandlog_); ++i) {
    if (commandlog_[i].kind() != Reply::Kind::kInteger) continue;
    tell_one(sink, kCommandlogLengths[i], static_cast<double>(commandlog_[i].integer()));
  }
}

void Extras::tell_config(Sink& sink) {
  const auto value_of = [&](std::string_view key) {
    const auto found = std::ranges::find(config_, key, [](const auto& pair) { return pair.first; });
    return found == config_.end() ? std::string_view{} : found->second;
  };
  const auto tell = [&](std::string_view key, const FamilyInfo& family) {
    if (const auto value = base::parse_float(value_of(key))) tell_one(sink, family, *value);
  };
  for (const Setting& setting : kSettings) tell(setting.key, setting.family);
  for (std::size_t i = 0; i < std::size(kCommandlogKeys); ++i) tell(kCommandlogKeys[i], kCommandlogConfig[i]);

  // "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60": class, hard and soft limit, seconds.
  const std::string_view limits = value_of(kOutputLimits);
  const auto each = [&](auto take) {
    std::string_view rest = limits;
    for (std::size_t i = 0; !rest.empty() && i < kOutputClassesMax; ++i) {
      name_ = take_word(rest);
      make_utf8(name_);
      const auto hard = base::parse_float(take_word(rest)), soft = base::parse_float(take_word(rest)),
                 seconds = base::parse_float(take_word(rest));
      if (hard && soft && seconds) take(*hard, *soft, *seconds);
    }
  };
  if (limits.empty()) return;
  begin(sink, kConfigOutputBytes);
  each([&](double hard, double soft, double) {
    sink.sample({{"class", name_}, {"limit", "hard"}}, hard);
    sink.sample({{"class", name_}, {"limit", "soft"}}, soft);
  });
  begin(sink, kConfigOutputSeconds);
  each([&](double, double, double seconds) { sink.sample({{"class", name_}, {"limit", "soft"}}, seconds); });
}

void Extras::tell_latest(Sink& sink) {
  // An event is its name, when it was last (seconds), how long that was and the longest (milliseconds).
  const auto tell = [&](const FamilyInfo& family, auto value) {
    Reply event = latest_.first();
    if (!event) return;
    begin(sink, family);
    for (std::size_t i = 0; event && i < kEventsMax; ++i, event = event.next()) {
      name_ = event.first().text();
      make_utf8(name_);
      sink.sample({{"event_name", name_}}, value(event.first().next()));
    }
  };
  tell(kSpikeLast, [](const Reply& time) { return static_cast<double>(time.integer()); });
  tell(kSpikeDuration, [](const Reply& time) { return static_cast<double>(time.next().integer()) / 1e3; });
}

void Extras::tell_histograms(Sink& sink, const Info& info) const {
  // get, [calls, 3, histogram_usec, [4, 1, 8, 3]]: how many calls took at most 4 µs, at most 8 µs.
  bool begun = false;
  std::size_t commands = 0;
  for (Reply command = histograms_.first(); command && commands < kCommandsMax; ++commands) {
    const Reply details = command.next();
    const std::string_view name = command.text();
    command = details.next();
    const Info::Command* const known = info.command(name);
    const Reply calls = details.value_of("calls");
    // INFO says how long all took together.
    if (known == nullptr || calls.kind() != Reply::Kind::kInteger) continue;
    if (!begun) begin(sink, kLatencies);
    begun = true;
    std::int64_t before = std::numeric_limits<std::int64_t>::min();
    Reply bound = details.value_of("histogram_usec").first();
    for (std::size_t i = 0; bound && i < kBucketsMax; ++i) {
      const Reply count = bound.next();
      if (bound.integer() > before) {
        before = bound.integer();
        char text[24];
        const char* const end = std::to_chars(std::begin(text), std::end(text), before).ptr;
        const std::array labels = {model::Label{"cmd", known->name},
                                   model::Label{"le", {text, static_cast<std::size_t>(end - text)}}};
        sink.sample("_bucket", labels, static_cast<double>(count.integer()));
      }
      bound = count.next();
    }
    const std::array labels = {model::Label{"cmd", known->name}};
    const std::array infinite = {model::Label{"cmd", known->name}, model::Label{"le", "+Inf"}};
    sink.sample("_bucket", infinite, static_cast<double>(calls.integer()));
    sink.sample("_sum", labels, known->microseconds);
    sink.sample("_count", labels, static_cast<double>(calls.integer()));
  }
}

}  // namespace qd::observe::redis
