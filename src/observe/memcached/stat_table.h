// One answer of memcached's "stats": lines "STAT <key> <value>" up to "END".
//
// The keys of "stats items" ("items:3:evicted") and "stats slabs" ("3:chunk_size") have a slab class in them; it is
// kept apart, and 0 for others. Keeps its memory from answer to answer. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connect/stream.h"

namespace qd::observe::memcached {

// An answer past one of these is refused: memcached has 64 slab classes and tells some 30 numbers of each.
inline constexpr std::size_t kLineBytesMax = 4096;
inline constexpr std::size_t kAnswerBytesMax = 1 << 20;
inline constexpr std::size_t kRowsMax = 10'000;

struct Stat {
  std::string_view key;
  std::uint32_t slab = 0;
  std::string_view value;
};

class StatTable {
 public:
  StatTable() = default;
  StatTable(const StatTable&) = delete;
  StatTable& operator=(const StatTable&) = delete;

  void clear();
  // Reads an answer. When the server refused the command, refusal() is its line, there are no rows, and the stream can
  // be used on; after an error it cannot.
  base::Status read(connect::Stream& stream, std::int64_t deadline_ns);
  const std::string& refusal() const { return refusal_; }

  // Those with this key, by slab class; valid until the next read.
  std::span<const Stat> all(std::string_view key) const;
  // The value of the only one; empty when there is none.
  std::string_view text(std::string_view key) const;
  bool has(std::string_view key) const { return !all(key).empty(); }

 private:
  struct Row {
    std::uint32_t key_at, key_size, value_at, value_size, slab;
  };
  void add(std::string_view line);

  std::string text_;
  std::vector<Row> rows_;
  std::vector<Stat> stats_;
  std::string refusal_;
};

}  // namespace qd::observe::memcached
