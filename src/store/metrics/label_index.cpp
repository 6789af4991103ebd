#include "store/metrics/label_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/assert.h"

namespace qd::store::metrics {
namespace {

constexpr PairId kNoPair = 0xffffffff;
constexpr std::uint32_t kPagePairsLog2 = 15;
constexpr std::uint32_t kPagePairs = 1U << kPagePairsLog2;
constexpr std::size_t kTableCellsMin = 1024;

std::uint64_t pair_hash(std::uint32_t name, std::string_view value) {
  return XXH3_64bits_withSeed(value.data(), value.size(), name);
}

// Tables are at most three quarters full, so that a search ends soon.
bool crowded(std::size_t used, std::size_t cells) {
  return used * 4 >= cells * 3;
}

std::size_t cells_for(std::size_t used) {
  std::size_t cells = kTableCellsMin;
  while (crowded(used, cells)) cells *= 2;
  return cells;
}

void sort_unique(std::vector<std::string>& texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
}

}  // namespace

IdList::~IdList() {
  if (capacity_ != kInline) std::free(heap_);
}

void IdList::swap(IdList& other) noexcept {
  static_assert(sizeof(IdList) == 16);
  std::byte mine[sizeof(IdList)];
  std::memcpy(mine, static_cast<void*>(this), sizeof mine);
  std::memcpy(static_cast<void*>(this), static_cast<const void*>(&other), sizeof mine);
  std::memcpy(static_cast<void*>(&other), mine, sizeof mine);
}

void IdList::push_back(std::uint32_t id) {
  if (size_ == capacity_) {
    const std::uint32_t grown = capacity_ + std::max(2U, capacity_ / 4);
    auto* const to = static_cast<std::uint32_t*>(
        std::realloc(capacity_ == kInline ? nullptr : heap_, std::size_t{grown} * sizeof(std::uint32_t)));
    QD_ASSERT(to != nullptr, "out of memory");
    if (capacity_ == kInline) std::memcpy(to, inline_, sizeof inline_);
    heap_ = to;
    capacity_ = grown;
  }
  data()[size_++] = id;
}

LabelIndex::LabelIndex() {
  rebuild_pair_table(kTableCellsMin);
  rebuild_series_table(kTableCellsMin);
}

std::optional<std::uint32_t> LabelIndex::find_name(std::string_view name) const {
  const auto it = name_ids_.find(name);
  if (it == name_ids_.end()) return std::nullopt;
  return it->second;
}

std::optional<PairId> LabelIndex::find_pair(std::uint32_t name, std::string_view value) const {
  const std::size_t mask = pair_table_.size() - 1;
  for (std::size_t i = pair_hash(name, value) & mask;; i = (i + 1) & mask) {
    const PairId id = pair_table_[i];
    if (id == kNoPair) return std::nullopt;
    if (pairs_[id].name == name && pair_value(id) == value) return id;
  }
}

PairId LabelIndex::intern(std::string_view name, std::string_view value) {
  std::uint32_t name_id = 0;
  if (const auto found = find_name(name)) {
    name_id = *found;
  } else {
    if (free_names_.empty()) {
      name_id = static_cast<std::uint32_t>(names_.size());
      names_.emplace_back();
    } else {
      name_id = free_names_.back();
      free_names_.pop_back();
    }
    names_[name_id].text = name;
    name_ids_.emplace(names_[name_id].text, name_id);
  }
  if (const auto found = find_pair(name_id, value)) return *found;
  if (crowded(pairs_.size() - free_pairs_.size() + 1, pair_table_.size())) rebuild_pair_table(pair_table_.size() * 2);
  PairId id = 0;
  if (!free_pairs_.empty()) {
    id = free_pairs_.back();
    free_pairs_.pop_back();
  } else {
    id = static_cast<PairId>(pairs_.size());
    pairs_.emplace_back();
  }
  pairs_[id].value = text_.add(value);
  pairs_[id].length = static_cast<std::uint32_t>(value.size());
  pairs_[id].name = name_id;
  names_[name_id].pairs.push_back(id);
  const std::size_t mask = pair_table_.size() - 1;
  std::size_t i = pair_hash(name_id, value) & mask;
  while (pair_table_[i] != kNoPair) i = (i + 1) & mask;
  pair_table_[i] = id;
  return id;
}

void LabelIndex::rebuild_pair_table(std::size_t cells) {
  pair_table_.assign(cells, kNoPair);
  const std::size_t mask = cells - 1;
  for (PairId id = 0; id < pairs_.size(); ++id) {
    if (pairs_[id].value == nullptr) continue;
    std::size_t i = pair_hash(pairs_[id].name, pair_value(id)) & mask;
    while (pair_table_[i] != kNoPair) i = (i + 1) & mask;
    pair_table_[i] = id;
  }
}

std::uint64_t LabelIndex::hash_of(std::span<const PairId> pairs) {
  return XXH3_64bits(pairs.data(), pairs.size_bytes());
}

Slot LabelIndex::find(const model::LabelSet& labels) const {
  PairId few[32];
  std::vector<PairId> many;
  std::size_t n = 0;
  for (const model::Label& label : labels) {
    const auto name = find_name(label.name);
    if (!name) return kNoSlot;
    const auto pair = find_pair(*name, label.value);
    if (!pair) return kNoSlot;
    if (n < std::size(few)) {
      few[n] = *pair;
    } else {
      if (n == std::size(few)) many.assign(few, few + n);
      many.push_back(*pair);
    }
    ++n;
  }
  const std::span<const PairId> pairs = many.empty() ? std::span<const PairId>(few, n) : many;
  return find(pairs, hash_of(pairs));
}

Slot LabelIndex::find(std::span<const PairId> wanted, std::uint64_t hash) const {
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  const std::size_t mask = series_table_.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    const SeriesCell& cell = series_table_[i];
    if (cell.slot == kNoSlot) return kNoSlot;
    if (cell.tag == tag && std::ranges::equal(pairs(cell.slot), wanted)) return cell.slot;
  }
}

void LabelIndex::insert_cell(std::uint64_t hash, Slot slot) {
  const std::size_t mask = series_table_.size() - 1;
  std::size_t i = hash & mask;
  while (series_table_[i].slot != kNoSlot) i = (i + 1) & mask;
  series_table_[i] = {slot, static_cast<std::uint32_t>(hash >> 32)};
}

void LabelIndex::rebuild_series_table(std::size_t cells) {
  // The old table goes first: the two together would be the peak of the whole index.
  series_table_ = {};
  series_table_.assign(cells, SeriesCell{});
  for (const Slot slot : ids_) insert_cell(hash_of(pairs(slot)), slot);
}

std::uint32_t LabelIndex::store_pairs(std::span<const PairId> pairs) {
  const auto n = static_cast<std::uint32_t>(pairs.size());
  std::uint32_t at = 0;
  if (const auto it = free_runs_.find(n); it != free_runs_.end() && !it->second.empty()) {
    at = it->second.back();
    it->second.pop_back();
  } else {
    if (pair_pages_.empty() || page_used_ + n > kPagePairs) {
      pair_pages_.push_back(std::make_unique_for_overwrite<PairId[]>(kPagePairs));
      page_used_ = 0;
    }
    at = static_cast<std::uint32_t>((pair_pages_.size() - 1) << kPagePairsLog2) + page_used_;
    page_used_ += n;
  }
  std::copy(pairs.begin(), pairs.end(), pair_pages_[at >> kPagePairsLog2].get() + (at & (kPagePairs - 1)));
  return at;
}

std::span<const PairId> LabelIndex::pairs(Slot slot) const {
  const PairsOf& where = pairs_of_[slot];
  return {pair_pages_[where.at >> kPagePairsLog2].get() + (where.at & (kPagePairs - 1)), where.count};
}

model::LabelSet LabelIndex::labels(Slot slot) const {
  std::vector<model::Label> labels;
  const auto of = pairs(slot);
  labels.reserve(of.size());
  for (const PairId pair : of) labels.push_back({pair_name(pair), pair_value(pair)});
  return model::LabelSet::from(std::move(labels));
}

void LabelIndex::add(std::span<const PairId> pairs, Slot slot) {
  QD_ASSERT(!pairs.empty() && pairs.size() <= kPagePairs);
  if (crowded(ids_.size() + 1, series_table_.size())) rebuild_series_table(series_table_.size() * 2);
  const auto position = static_cast<std::uint32_t>(ids_.size());
  ids_.push_back(slot);
  if (slot >= pairs_of_.size()) pairs_of_.resize(slot + 1);
  pairs_of_[slot] = {store_pairs(pairs), static_cast<std::uint32_t>(pairs.size())};
  insert_cell(hash_of(pairs), slot);
  for (const PairId pair : pairs) pairs_[pair].series.push_back(position);
}

Postings LabelIndex::all_positions() const {
  Postings all(ids_.size());
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

// Series that carry the matcher's name with a value that it accepts, or with one that it does not.
Postings LabelIndex::positions_of(const model::Matcher& matcher, bool accepted) const {
  const auto name = find_name(matcher.name());
  if (!name) return {};
  std::vector<PostingsView> lists;
  if (const auto literals = matcher.literal_values(); accepted && !literals.empty()) {
    for (const std::string& value : literals) {
      if (const auto pair = find_pair(*name, value)) lists.push_back(pairs_[*pair].series.view());
    }
  } else {
    for (const PairId pair : names_[*name].pairs) {
      if (matcher.matches(pair_value(pair)) == accepted) lists.push_back(pairs_[pair].series.view());
    }
  }
  if (lists.size() == 1) return {lists.front().begin(), lists.front().end()};
  return unite(lists);
}

Postings LabelIndex::select(std::span<const model::Matcher> matchers) const {
  std::vector<Postings> found;
  std::vector<PostingsView> lists;
  std::vector<const model::Matcher*> excluding;
  for (const model::Matcher& matcher : matchers) {
    if (matcher.matches_empty()) {
      excluding.push_back(&matcher);
      continue;
    }
    // The common case without a copy.
    if (matcher.kind() == model::Matcher::Kind::kEqual) {
      const auto name = find_name(matcher.name());
      const auto pair = name ? find_pair(*name, matcher.value()) : std::nullopt;
      if (!pair) return {};
      lists.push_back(pairs_[*pair].series.view());
      continue;
    }
    found.push_back(positions_of(matcher, true));
    if (found.back().empty()) return {};
  }
  for (const Postings& list : found) lists.push_back(list);
  Postings result;
  if (lists.empty()) {
    result = all_positions();
  } else if (lists.size() == 1) {
    result.assign(lists.front().begin(), lists.front().end());
  } else {
    result = intersect(lists);
  }
  for (const model::Matcher* const matcher : excluding) {
    if (result.empty()) break;
    const Postings refused = positions_of(*matcher, false);
    if (!refused.empty()) result = subtract(result, refused);
  }
  return result;
}

void LabelIndex::remove(std::span<const Slot> slots) {
  if (slots.empty()) return;
  constexpr std::uint32_t kGone = 0xffffffff;
  std::vector<std::uint32_t> moved(ids_.size());
  std::uint32_t kept = 0;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const Slot slot = ids_[i];
    if (std::binary_search(slots.begin(), slots.end(), slot)) {
      moved[i] = kGone;
      free_runs_[pairs_of_[slot].count].push_back(pairs_of_[slot].at);
    } else {
      moved[i] = kept;
      ids_[kept++] = slot;
    }
  }
  ids_.resize(kept);
  bool pairs_gone = false;
  for (PairId id = 0; id < pairs_.size(); ++id) {
    Pair& pair = pairs_[id];
    if (pair.value == nullptr) continue;
    std::uint32_t* const list = pair.series.data();
    std::uint32_t size = 0;
    for (std::uint32_t i = 0; i < pair.series.size(); ++i) {
      if (moved[list[i]] != kGone) list[size++] = moved[list[i]];
    }
    pair.series.resize_down(size);
    if (size != 0) continue;
    text_.release(pair.value, pair.length);
    pair = Pair{};
    free_pairs_.push_back(id);
    pairs_gone = true;
  }
  if (pairs_gone) {
    for (std::uint32_t i = 0; i < names_.size(); ++i) {
      Name& name = names_[i];
      std::erase_if(name.pairs, [&](PairId id) { return pairs_[id].value == nullptr; });
      if (!name.pairs.empty() || name.text.empty()) continue;
      name_ids_.erase(name.text);
      name.text.clear();
      free_names_.push_back(i);
    }
    rebuild_pair_table(cells_for(pair_count()));
  }
  rebuild_series_table(cells_for(ids_.size()));
}

std::vector<std::string> LabelIndex::names(PostingsView positions) const {
  std::vector<bool> seen(names_.size());
  for (const std::uint32_t position : positions) {
    for (const PairId pair : pairs(ids_[position])) seen[pairs_[pair].name] = true;
  }
  std::vector<std::string> out;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i]) out.push_back(names_[i].text);
  }
  sort_unique(out);
  return out;
}

std::vector<std::string> LabelIndex::values(std::string_view name, PostingsView positions) const {
  const auto id = find_name(name);
  if (!id) return {};
  std::vector<PairId> found;
  for (const std::uint32_t position : positions) {
    for (const PairId pair : pairs(ids_[position])) {
      if (pairs_[pair].name == *id) {
        found.push_back(pair);
        break;
      }
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  std::vector<std::string> out;
  out.reserve(found.size());
  for (const PairId pair : found) out.emplace_back(pair_value(pair));
  std::sort(out.begin(), out.end());
  return out;
}

void LabelIndex::each_pair(PairId from, PairId to,
                           const std::function<void(std::string_view, std::string_view, std::size_t)>& call) const {
  for (PairId pair = from; pair < std::min(to, pair_numbers()); ++pair) {
    if (pairs_[pair].series.size() != 0) call(pair_name(pair), pair_value(pair), pairs_[pair].series.size());
  }
}

std::vector<std::uint32_t> LabelIndex::label_order(std::span<const Slot> slots) const {
  std::vector<std::uint32_t> order(slots.size());
  std::iota(order.begin(), order.end(), 0U);
  if (slots.size() < 2) return order;

  // Pairs in order of name and value get ranks from 1 on, so that series compare as rows of small numbers.
  std::vector<std::uint32_t> rank(pairs_.size(), 0);
  std::vector<PairId> used;
  std::size_t cells = 0;
  for (const Slot slot : slots) {
    for (const PairId pair : pairs(slot)) {
      ++cells;
      if (rank[pair] != 0) continue;
      rank[pair] = 1;
      used.push_back(pair);
    }
  }
  std::vector<std::uint32_t> by_name(names_.size());
  std::iota(by_name.begin(), by_name.end(), 0U);
  std::sort(by_name.begin(), by_name.end(),
            [&](std::uint32_t a, std::uint32_t b) { return names_[a].text < names_[b].text; });
  std::vector<std::uint32_t> name_rank(names_.size());
  for (std::uint32_t i = 0; i < by_name.size(); ++i) name_rank[by_name[i]] = i;
  std::sort(used.begin(), used.end(), [&](PairId a, PairId b) {
    const std::uint32_t rank_a = name_rank[pairs_[a].name];
    const std::uint32_t rank_b = name_rank[pairs_[b].name];
    return rank_a != rank_b ? rank_a < rank_b : pair_value(a) < pair_value(b);
  });
  for (std::uint32_t i = 0; i < used.size(); ++i) rank[used[i]] = i + 1;

  std::vector<std::uint32_t> ranks;
  ranks.reserve(cells + slots.size());
  std::vector<std::size_t> row(slots.size());
  const auto first = pairs(slots.front());
  std::size_t shared = first.size();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    row[i] = ranks.size();
    const auto of = pairs(slots[i]);
    shared = std::min(shared, of.size());
    for (std::size_t k = 0; k < of.size(); ++k) {
      if (k < shared && of[k] != first[k]) shared = k;
      ranks.push_back(rank[of[k]]);
    }
    ranks.push_back(0);
  }
  // What differs first decides most comparisons, so it is kept beside the place.
  struct Key {
    std::uint64_t front;
    std::uint32_t place;
  };
  std::vector<Key> keys(slots.size());
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const std::uint32_t* const at = ranks.data() + row[i] + shared;
    keys[i] = {(std::uint64_t{at[0]} << 32) | (at[0] == 0 ? 0 : at[1]), i};
  }
  const auto before = [&](const Key& a, const Key& b) {
    if (a.front != b.front) return a.front < b.front;
    const std::uint32_t* x = ranks.data() + row[a.place] + shared;
    const std::uint32_t* y = ranks.data() + row[b.place] + shared;
    while (*x == *y && *x != 0) {
      ++x;
      ++y;
    }
    return *x < *y;
  };
  if (std::is_sorted(keys.begin(), keys.end(), before)) return order;
  std::sort(keys.begin(), keys.end(), before);
  for (std::size_t i = 0; i < keys.size(); ++i) order[i] = keys[i].place;
  return order;
}

}  // namespace qd::store::metrics
