// The index of a mapped segment: its labels, and which series have them.
//
// Looks straight into the file and keeps nothing. All positions in it are checked where they are used, since a valid
// checksum does not make them right; what cannot be right reads as empty, or is kCorrupt where a caller would otherwise
// take a wrong answer for a right one. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "store/metrics/postings.h"
#include "store/metrics/segment_format.h"

namespace qd::store::metrics {

class SegmentIndex {
 public:
  // `file` has passed decode_segment_frame with this footer and outlives the index.
  SegmentIndex(std::span<const std::byte> file, const SegmentFooter& footer, std::string path);

  // Series that all matchers accept, whatever their times.
  base::Result<Postings> find(std::span<const model::Matcher> matchers) const;
  // Of `ids`, those that may have samples in [from_ms, to_ms].
  Postings overlapping(PostingsView ids, model::TimestampMs from_ms, model::TimestampMs to_ms) const;

  model::LabelSet labels(std::uint32_t id) const;
  std::string_view label(std::uint32_t id, std::string_view name) const;
  std::vector<std::string_view> label_names() const;
  std::vector<std::string_view> label_values(std::string_view name) const;

  // What stands in the record behind the labels.
  struct Series {
    model::TimestampMs min_ms = 0;
    model::TimestampMs max_ms = 0;
    base::ByteReader blocks;
  };
  base::Result<Series> series(std::uint32_t id) const;

 private:
  struct Pair {
    std::uint32_t number = 0;
    std::uint32_t name = 0;
    std::uint32_t value = 0;
    std::uint32_t count = 0;
    bool run = false;
    std::uint32_t where = 0;
  };
  struct PairRange {
    std::uint32_t first = 0;
    std::uint32_t end = 0;
    std::uint32_t size() const { return end - first; }
  };
  struct Condition;

  std::span<const std::byte> section(Section section) const;
  std::string_view symbol(std::uint32_t number) const;
  std::string_view name_of(std::uint32_t entry) const;
  Pair pair(std::uint32_t number) const;
  std::string_view value_of(std::uint32_t pair_number) const { return symbol(pair(pair_number).value); }
  PairRange pairs_of(std::string_view name) const;
  // The first pair of `range` whose value is not less.
  std::uint32_t lower_bound(PairRange range, std::string_view value) const;
  base::ByteReader record(std::uint32_t id) const;
  // The pair of series `id` in `range`; none when it has none.
  std::optional<std::uint32_t> pair_of(std::uint32_t id, PairRange range) const;

  base::Result<Postings> postings(std::span<const std::uint32_t> pair_numbers) const;
  base::Status add_postings(const Pair& pair, Postings& out) const;
  void resolve(Condition& condition) const;
  base::Result<Postings> apply(Postings candidates, Condition& condition) const;
  Postings filter(const Postings& candidates, const Condition& condition) const;
  std::unexpected<base::Error> damaged(Section section, std::string_view what) const;

  std::span<const std::byte> file_;
  SegmentFooter footer_;
  std::string path_;
};

}  // namespace qd::store::metrics
