#include "observe/memcached/memcached.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <utility>

#include "base/strings.h"
#include "observe/memcached/families.h"
#include "observe/utf8.h"

namespace qd::observe::memcached {
namespace {

using namespace std::string_view_literals;

constexpr std::array kCommandLines = {"stats"sv, "stats settings"sv, "stats items"sv, "stats slabs"sv};
constexpr std::string_view kRequest = "stats\r\nstats settings\r\nstats items\r\nstats slabs\r\n";

// Commands that memcached counts as <name>_hits and <name>_misses.
struct Counted {
  std::string_view command, hits, misses;
};
constexpr std::array<Counted, 6> kCounted = {{{"get", "get_hits", "get_misses"},
                                              {"delete", "delete_hits", "delete_misses"},
                                              {"incr", "incr_hits", "incr_misses"},
                                              {"decr", "decr_hits", "decr_misses"},
                                              {"cas", "cas_hits", "cas_misses"},
                                              {"touch", "touch_hits", "touch_misses"}}};

void begin(Sink& sink, const FamilyInfo& family) {
  sink.family(family.name, family.type, family.help);
}

// The text of a slab class as a label.
class SlabLabel {
 public:
  explicit SlabLabel(std::uint32_t slab) : end_(std::to_chars(std::begin(text_), std::end(text_), slab).ptr) {}
  std::string_view text() const { return {text_, static_cast<std::size_t>(end_ - text_)}; }

 private:
  char text_[16];
  char* end_;
};

std::optional<double> number(const StatTable& table, std::string_view key) {
  return base::parse_float(table.text(key));
}

}  // namespace

MemcachedCollector::MemcachedCollector(Options options, const base::Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

MemcachedCollector::~MemcachedCollector() = default;

base::Status MemcachedCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  trouble_.reset();
  const base::Status status = read(deadline_ns);
  if (!status) {
    stream_.reset();
    note(status.error());
  }
  begin(sink, kUp);
  sink.sample(status ? 1 : 0);
  if (status) tell(sink);
  return {};
}

base::Status MemcachedCollector::read(std::int64_t deadline_ns) {
  const bool kept = stream_ != nullptr;
  base::Status status = ask(deadline_ns);
  // Servers close connections that were idle, and all of them when they start anew.
  if (!status && kept && status.error().code() == base::ErrorCode::kUnavailable) {
    stream_.reset();
    status = ask(deadline_ns);
  }
  if (!status && status.error().code() == base::ErrorCode::kUnavailable) {
    return base::fail(base::ErrorCode::kUnavailable,
                      fmt::format("{}; check that memcached listens there, and not with the binary protocol only (-B)",
                                  status.error().message()));
  }
  return status;
}

base::Status MemcachedCollector::ask(std::int64_t deadline_ns) {
  if (!stream_) {
    QD_ASSIGN(stream_, connect::Stream::open({options_.address, {}}, clock_, deadline_ns));
  }
  QD_TRY(stream_->write_all(kRequest, deadline_ns));
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    QD_TRY(answers_[i].read(*stream_, deadline_ns));
    const std::string& refusal = answers_[i].refusal();
    if (refusal.empty()) continue;
    const bool login = refusal.find("unauthenticated") != std::string::npos;
    base::Error error(login ? base::ErrorCode::kPermission : base::ErrorCode::kUnavailable,
                      fmt::format("{}: memcached refuses \"{}\": {:?}{}", options_.address, kCommandLines[i], refusal,
                                  login ? "; it wants a login (-S or -Y), which the collector has none for: let it "
                                          "listen for Quarterdeck without"
                                        : ""));
    if (i == kStats) return base::fail(std::move(error));
    note(std::move(error));
  }
  return {};
}

void MemcachedCollector::note(base::Error error) {
  if (!trouble_) trouble_ = std::move(error);
}

void MemcachedCollector::tell(Sink& sink) {
  version_ = answers_[kStats].text("version");
  make_utf8(version_);
  begin(sink, kVersion);
  sink.sample({{"version", version_}}, 1);
  tell_commands(sink);

  const bool extstore = answers_[kStats].has("extstore_limit_maxbytes");
  const bool proxy = answers_[kStats].has("proxy_backend_total");
  const bool crawler = answers_[kSettings].text("lru_crawler") == "yes";
  for (const Plain& plain : plain_families()) {
    const StatTable* table = nullptr;
    switch (plain.from) {
      case From::kStats:
        table = &answers_[kStats];
        break;
      case From::kExtstore:
        table = extstore ? &answers_[kStats] : nullptr;
        break;
      case From::kProxy:
        table = proxy ? &answers_[kStats] : nullptr;
        break;
      case From::kSettings:
        table = &answers_[kSettings];
        break;
      case From::kCrawler:
        table = crawler ? &answers_[kSettings] : nullptr;
        break;
      case From::kItems:
        table = &answers_[kItems];
        break;
      case From::kSlabs:
        table = &answers_[kSlabs];
        break;
    }
    if (table == nullptr) continue;
    std::span<const Stat> stats = table->all(plain.key);
    // "stats" has it not, but the total below "stats slabs".
    if (stats.empty() && plain.key == "total_malloced") stats = answers_[kSlabs].all(plain.key);
    bool begun = false;
    for (const Stat& stat : stats) {
      const bool is_slab = plain.from == From::kItems || plain.from == From::kSlabs;
      if (is_slab != (stat.slab != 0)) continue;
      std::optional<double> value = base::parse_float(stat.value);
      if (plain.is_yes)
        value = stat.value == "yes" ? std::optional(1.0) : stat.value == "no" ? std::optional(0.0) : std::nullopt;
      if (!value) {
        note({base::ErrorCode::kCorrupt, fmt::format("{}: memcached says {} {:?}, which is no number", options_.address,
                                                     plain.key, stat.value.substr(0, 80))});
        continue;
      }
      if (!std::exchange(begun, true)) begin(sink, plain.family);
      if (is_slab) {
        sink.sample({{"slab", SlabLabel(stat.slab).text()}}, *value);
      } else {
        sink.sample(*value);
      }
    }
  }

  // Servers have moved it from "stats slabs" to "stats items".
  std::span<const Stat> requested = answers_[kItems].all("mem_requested");
  if (requested.empty()) requested = answers_[kSlabs].all("mem_requested");
  if (!requested.empty()) begin(sink, kMemRequested);
  for (const Stat& stat : requested) {
    const auto value = base::parse_float(stat.value);
    if (value) sink.sample({{"slab", SlabLabel(stat.slab).text()}}, *value);
  }
  tell_lru_hits(sink);
  tell_slab_commands(sink);
}

void MemcachedCollector::tell_commands(Sink& sink) {
  const StatTable& stats = answers_[kStats];
  begin(sink, kCommands);
  const auto tell = [&](std::string_view command, std::string_view status, std::optional<double> value) {
    if (value) sink.sample({{"command", command}, {"status", status}}, *value);
  };
  for (const Counted& counted : kCounted) {
    tell(counted.command, "hit", number(stats, counted.hits));
    tell(counted.command, "miss", number(stats, counted.misses));
  }
  const auto badval = number(stats, "cas_badval");
  tell("cas", "badval", badval);
  tell("flush", "hit", number(stats, "cmd_flush"));
  // cmd_set counts cas again.
  const auto set = number(stats, "cmd_set"), misses = number(stats, "cas_misses"), hits = number(stats, "cas_hits");
  if (set && misses && hits && badval) tell("set", "hit", *set - (*misses + *hits + *badval));
}

void MemcachedCollector::tell_slab_commands(Sink& sink) {
  const StatTable& slabs = answers_[kSlabs];
  const auto classes = slabs.all("chunk_size");
  if (classes.empty()) return;
  begin(sink, kSlabCommands);
  for (const Stat& one : classes) {
    const SlabLabel slab(one.slab);
    const auto value = [&](std::string_view key) -> std::optional<double> {
      for (const Stat& stat : slabs.all(key))
        if (stat.slab == one.slab) return base::parse_float(stat.value);
      return std::nullopt;
    };
    const auto tell = [&](std::string_view command, std::string_view status, std::optional<double> count) {
      if (count) sink.sample({{"slab", slab.text()}, {"command", command}, {"status", status}}, *count);
    };
    for (const Counted& counted : kCounted) tell(counted.command, "hit", value(counted.hits));
    const auto badval = value("cas_badval"), set = value("cmd_set"), hits = value("cas_hits");
    tell("cas", "badval", badval);
    if (set && hits && badval) tell("set", "hit", *set - (*hits + *badval));
  }
}

void MemcachedCollector::tell_lru_hits(Sink& sink) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kLrus = {
      {{"hits_to_hot", "hot"}, {"hits_to_warm", "warm"}, {"hits_to_cold", "cold"}, {"hits_to_temp", "temporary"}}};
  bool begun = false;
  for (const auto& [key, lru] : kLrus) {
    for (const Stat& stat : answers_[kItems].all(key)) {
      const auto value = base::parse_float(stat.value);
      if (!value) continue;
      if (!std::exchange(begun, true)) begin(sink, kLruHits);
      sink.sample({{"slab", SlabLabel(stat.slab).text()}, {"lru", lru}}, *value);
    }
  }
}

}  // namespace qd::observe::memcached
