// Which series of the head carry which labels, and which series a label set is.
//
// Every name=value pair is stored once and has a number; a series is its pairs in order of name. Series are found by
// their pairs, and by postings: per pair the rising list of positions of series in order of their making. Not
// thread-safe: the head guards it.
//
// Memory a series with five labels: 20 bytes of pairs, about 30 of postings, 12 to 24 of lookup table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/labels.h"
#include "model/matcher.h"
#include "store/metrics/postings.h"
#include "store/metrics/text_arena.h"

namespace qd::store::metrics {

using PairId = std::uint32_t;
using Slot = std::uint32_t;  // where the head keeps the series
inline constexpr Slot kNoSlot = 0xffffffff;

// A rising list that costs 16 bytes for one or two numbers, then what it holds and a quarter more.
class IdList {
 public:
  IdList() = default;
  IdList(IdList&& other) noexcept { swap(other); }
  IdList& operator=(IdList&& other) noexcept {
    swap(other);
    return *this;
  }
  ~IdList();
  void push_back(std::uint32_t id);
  void resize_down(std::uint32_t size) { size_ = size; }
  std::uint32_t* data() { return capacity_ == kInline ? inline_ : heap_; }
  PostingsView view() const { return {capacity_ == kInline ? inline_ : heap_, size_}; }
  std::uint32_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kInline = 2;
  void swap(IdList& other) noexcept;
  union {
    std::uint32_t inline_[kInline] = {};
    std::uint32_t* heap_;
  };
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = kInline;
};

class LabelIndex {
 public:
  LabelIndex();

  // The number of a pair, given to it now if it is new.
  PairId intern(std::string_view name, std::string_view value);
  std::string_view pair_name(PairId pair) const { return names_[pairs_[pair].name].text; }
  std::string_view pair_value(PairId pair) const { return {pairs_[pair].value, pairs_[pair].length}; }

  // kNoSlot when there is no such series.
  Slot find(const model::LabelSet& labels) const;
  // The same for pairs in order of name; `hash` is hash_of(pairs).
  Slot find(std::span<const PairId> pairs, std::uint64_t hash) const;
  // Adds a series that is not there yet. REQUIRES: pairs in order of name.
  void add(std::span<const PairId> pairs, Slot slot);
  static std::uint64_t hash_of(std::span<const PairId> pairs);

  std::span<const PairId> pairs(Slot slot) const;
  model::LabelSet labels(Slot slot) const;

  std::size_t size() const { return ids_.size(); }
  // Slots in order of making: the position is what postings hold.
  std::span<const Slot> slots() const { return ids_; }

  // Positions that all of `matchers` accept; all without matchers.
  Postings select(std::span<const model::Matcher> matchers) const;

  // Removes the series in `slots` (rising) and the pairs that no series carries any more.
  void remove(std::span<const Slot> slots);

  // Names, and values of one, that series at `positions` carry; sorted.
  std::vector<std::string> names(PostingsView positions) const;
  std::vector<std::string> values(std::string_view name, PostingsView positions) const;

  // Calls with every pair of a number in [from, to) that some series carries, and how many do.
  void each_pair(PairId from, PairId to,
                 const std::function<void(std::string_view, std::string_view, std::size_t)>& call) const;
  // Above all numbers of pairs.
  PairId pair_numbers() const { return static_cast<PairId>(pairs_.size()); }
  std::size_t pair_count() const { return pairs_.size() - free_pairs_.size(); }

  // Places of `slots` in label order: the first is where the series that comes first stands.
  std::vector<std::uint32_t> label_order(std::span<const Slot> slots) const;

 private:
  struct Pair {
    const char* value = nullptr;
    std::uint32_t length = 0;
    std::uint32_t name = 0;
    IdList series;
  };
  struct Name {
    std::string text;
    std::vector<PairId> pairs;
  };
  struct SeriesCell {
    Slot slot = kNoSlot;
    std::uint32_t tag = 0;
  };
  struct PairsOf {  // of a slot, in pair_pages_
    std::uint32_t at = 0;
    std::uint32_t count = 0;
  };

  std::optional<std::uint32_t> find_name(std::string_view name) const;
  std::optional<PairId> find_pair(std::uint32_t name, std::string_view value) const;
  void insert_cell(std::uint64_t hash, Slot slot);
  void rebuild_pair_table(std::size_t cells);
  void rebuild_series_table(std::size_t cells);
  std::uint32_t store_pairs(std::span<const PairId> pairs);
  Postings all_positions() const;
  Postings positions_of(const model::Matcher& matcher, bool accepted) const;

  TextArena text_;
  std::deque<Name> names_;  // a deque, for name_ids_ has views of the texts
  std::vector<std::uint32_t> free_names_;
  std::unordered_map<std::string_view, std::uint32_t> name_ids_;
  std::vector<Pair> pairs_;
  std::vector<PairId> free_pairs_;
  std::vector<PairId> pair_table_;  // open addressing, kNoPair where empty
  std::vector<SeriesCell> series_table_;
  std::vector<Slot> ids_;
  std::vector<PairsOf> pairs_of_;  // by slot
  std::vector<std::unique_ptr<PairId[]>> pair_pages_;
  std::uint32_t page_used_ = 0;
  std::map<std::uint32_t, std::vector<std::uint32_t>> free_runs_;  // by length: where
};

}  // namespace qd::store::metrics
