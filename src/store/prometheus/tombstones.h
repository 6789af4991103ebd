// What was deleted from a block of Prometheus and still stands in it.
//
// Source: tsdb/docs/format/tombstones.md of Prometheus. Values, any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "model/sample.h"
#include "store/metrics/querier.h"

namespace qd::store::prometheus {

// Both ends inside.
struct Interval {
  model::TimestampMs min_ms = 0;
  model::TimestampMs max_ms = 0;
  bool operator==(const Interval&) const = default;
};

// By reference of the series.
using Tombstones = std::unordered_map<std::uint64_t, std::vector<Interval>>;

inline constexpr std::string_view kTombstonesName = "tombstones";

// kCorrupt, naming file and offset. `path` is what errors call the bytes.
base::Result<Tombstones> parse_tombstones(std::span<const std::byte> bytes, const std::filesystem::path& path);
// Those of the block in `dir`; none where there is no such file.
base::Result<Tombstones> read_tombstones(base::Files& files, const std::filesystem::path& dir);
// The file of a block from which nothing was deleted.
std::string print_no_tombstones();

// Takes the samples in `deleted` out of `columns`.
void remove_deleted(metrics::Columns& columns, std::span<const Interval> deleted);

}  // namespace qd::store::prometheus
