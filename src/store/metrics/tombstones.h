// What has been deleted and still stands in files: hidden from every reader, and left out when it is written anew.
//
// A tombstone deletes what was there when it was made, and nothing that comes later: samples in segments with numbers
// before its own bound, and in the head those that its series had at that moment. Late samples are sealed before one is
// made. In a file of its own (docs/formats/tombstones.md), named by the manifest. Values; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/matcher.h"
#include "store/metrics/appender.h"
#include "store/metrics/querier.h"
#include "store/metrics/wal_record.h"

namespace qd::store::metrics {

struct Tombstone {
  struct InHead {
    SeriesRef ref;
    TimestampMs until_ms;  // its newest sample that is deleted is not after this
    bool operator==(const InHead&) const = default;
  };

  std::uint64_t number = 0;  // of its file
  TimestampMs from_ms = 0;   // both ends inside
  TimestampMs to_ms = 0;
  std::vector<Matcher> matchers;  // series that all of these accept
  std::uint64_t segments_before = 0;
  std::vector<InHead> in_head;  // rising by reference

  bool overlaps(TimestampMs from, TimestampMs to) const { return from_ms <= to && to_ms >= from; }
  // The newest time that it deletes in the head.
  TimestampMs head_until_ms() const;
};

class Tombstones {
 public:
  using List = std::vector<std::shared_ptr<const Tombstone>>;

  Tombstones() = default;
  explicit Tombstones(List list) : list_(std::move(list)) {}

  bool empty() const { return list_.empty(); }
  const List& list() const { return list_; }

  // Take what is deleted out of the columns, from place `begin` on: of a series in segment `number`, or in the head.
  void cut_segment(std::uint64_t number, const LabelSet& labels, Columns& columns, std::size_t begin) const;
  void cut_head(SeriesRef ref, Columns& columns, std::size_t begin) const;
  // Whether nothing of the series is left in [from_ms, to_ms].
  bool covers_segment(std::uint64_t number, const LabelSet& labels, TimestampMs from_ms, TimestampMs to_ms) const;
  bool covers_head(SeriesRef ref, TimestampMs from_ms, TimestampMs to_ms) const;

 private:
  struct Stretch {
    TimestampMs from_ms;
    TimestampMs to_ms;
  };
  std::vector<Stretch> of_segment(std::uint64_t number, const LabelSet& labels, TimestampMs from_ms,
                                  TimestampMs to_ms) const;
  std::vector<Stretch> of_head(SeriesRef ref, TimestampMs from_ms, TimestampMs to_ms) const;
  static void cut(const std::vector<Stretch>& stretches, Columns& columns, std::size_t begin);
  static bool covers(std::vector<Stretch> stretches, TimestampMs from_ms, TimestampMs to_ms);

  List list_;
};

std::string encode_tombstone(const Tombstone& tombstone);
// kCorrupt when it is not as written; kInvalid, naming the versions, when a newer program wrote it. kIgnore is for
// fuzzing.
base::Result<Tombstone> decode_tombstone(std::span<const std::byte> bytes, std::uint64_t number,
                                         const std::filesystem::path& path, Checksums checksums = Checksums::kVerify);

}  // namespace qd::store::metrics
