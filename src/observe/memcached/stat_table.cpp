#include "observe/memcached/stat_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

namespace qd::observe::memcached {
namespace {

constexpr auto kByKeyAndSlab = [](const Stat& a, const Stat& b) {
  return std::tie(a.key, a.slab) < std::tie(b.key, b.slab);
};

bool is_refusal(std::string_view line) {
  return line == "ERROR" || line.starts_with("CLIENT_ERROR") || line.starts_with("SERVER_ERROR");
}

// "3:chunk_size" is 3 and chunk_size.
std::uint32_t take_slab(std::string_view& key) {
  std::string_view rest = key;
  if (rest.starts_with("items:")) rest.remove_prefix(6);
  std::uint32_t slab = 0;
  const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), slab);
  if (error != std::errc{} || at == rest.data() + rest.size() || *at != ':') return 0;
  key = rest.substr(static_cast<std::size_t>(at - rest.data()) + 1);
  return slab;
}

}  // namespace

void StatTable::clear() {
  text_.clear();
  rows_.clear();
  stats_.clear();
  refusal_.clear();
}

base::Status StatTable::read(connect::Stream& stream, std::int64_t deadline_ns) {
  clear();
  for (;;) {
    QD_ASSIGN(const std::string_view line, stream.read_line(kLineBytesMax, deadline_ns));
    if (line == "END") break;
    if (is_refusal(line)) {
      refusal_ = line;
      rows_.clear();
      break;
    }
    // Settings may hold any bytes: what has no value is passed over.
    if (!line.starts_with("STAT ")) {
      return base::fail(base::ErrorCode::kCorrupt, fmt::format("{}: this is not an answer of memcached: {:?}",
                                                               stream.address(), line.substr(0, 80)));
    }
    if (rows_.size() == kRowsMax || text_.size() + line.size() > kAnswerBytesMax) {
      return base::fail(base::ErrorCode::kLimit, fmt::format("{}: the answer has more than {} rows or {} bytes",
                                                             stream.address(), kRowsMax, kAnswerBytesMax));
    }
    add(line.substr(5));
  }
  for (const Row& row : rows_) {
    const std::string_view text = text_;
    stats_.push_back({text.substr(row.key_at, row.key_size), row.slab, text.substr(row.value_at, row.value_size)});
  }
  std::ranges::stable_sort(stats_, kByKeyAndSlab);
  // What a server tells twice is told once.
  const auto doubles = std::ranges::unique(
      stats_, [](const Stat& a, const Stat& b) { return std::tie(a.key, a.slab) == std::tie(b.key, b.slab); });
  stats_.erase(doubles.begin(), doubles.end());
  return {};
}

void StatTable::add(std::string_view line) {
  const auto blank = line.find(' ');
  if (blank == std::string_view::npos) return;
  std::string_view key = line.substr(0, blank);
  const std::string_view value = line.substr(blank + 1);
  const std::uint32_t slab = take_slab(key);
  const auto at = static_cast<std::uint32_t>(text_.size());
  text_.append(key).append(value);
  const auto key_size = static_cast<std::uint32_t>(key.size());
  rows_.push_back({at, key_size, at + key_size, static_cast<std::uint32_t>(value.size()), slab});
}

std::span<const Stat> StatTable::all(std::string_view key) const {
  const auto found = std::ranges::equal_range(stats_, key, {}, &Stat::key);
  return {found.begin(), found.end()};
}

std::string_view StatTable::text(std::string_view key) const {
  const auto found = all(key);
  return found.empty() ? std::string_view{} : found.front().value;
}

}  // namespace qd::observe::memcached
