#include "store/metrics/label_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace qd::store::metrics {
namespace {

using model::LabelSet;
using model::Matcher;

void add(LabelIndex& index, const LabelSet& labels, Slot slot) {
  std::vector<PairId> pairs;
  for (const model::Label& label : labels) pairs.push_back(index.intern(label.name, label.value));
  ASSERT_EQ(index.find(pairs, LabelIndex::hash_of(pairs)), kNoSlot);
  index.add(pairs, slot);
}

TEST(IdList, grows_in_place_and_keeps_what_it_holds) {
  IdList list;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    list.push_back(i * 3);
    IdList moved = std::move(list);
    list = std::move(moved);
    ASSERT_EQ(list.size(), i + 1);
    ASSERT_EQ(list.view().front(), 0U);
    ASSERT_EQ(list.view().back(), i * 3);
  }
}

TEST(LabelIndex, random_series_are_found_selected_ordered_and_removed) {
  std::mt19937 random(11);
  LabelIndex index;
  std::map<Slot, LabelSet> model;
  std::set<LabelSet> known;
  Slot next = 0;
  std::vector<Slot> free;
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::string name = fmt::format("metric_{}", random() % 5);
      const std::string a = std::to_string(random() % 50);
      const std::string b = std::to_string(random() % 7);
      const std::string c = fmt::format("label{}", random() % 40);
      LabelSet labels = random() % 3 == 0 ? LabelSet{{"__name__", name}, {"a", a}, {c, b}}
                                          : LabelSet{{"__name__", name}, {"a", a}, {"b", b}};
      if (!known.insert(labels).second) continue;
      Slot slot = next;
      if (free.empty()) {
        ++next;
      } else {
        slot = free.back();
        free.pop_back();
      }
      add(index, labels, slot);
      model[slot] = labels;
    }
    std::vector<Slot> dead;
    for (const auto& [slot, labels] : model) {
      if (random() % 3 == 0) dead.push_back(slot);
    }
    index.remove(dead);
    for (const Slot slot : dead) {
      EXPECT_EQ(index.find(model[slot]), kNoSlot);
      known.erase(model[slot]);
      model.erase(slot);
      free.push_back(slot);
    }
    ASSERT_EQ(index.size(), model.size());
    std::set<std::pair<std::string, std::string>> pairs;
    std::set<std::string> names;
    for (const auto& [slot, labels] : model) {
      ASSERT_EQ(index.find(labels), slot);
      ASSERT_EQ(index.labels(slot), labels);
      for (const model::Label& label : labels) {
        pairs.emplace(label.name, label.value);
        names.emplace(label.name);
      }
    }
    EXPECT_EQ(index.pair_count(), pairs.size());
    EXPECT_EQ(index.names(index.select({})), std::vector<std::string>(names.begin(), names.end()));
    for (const std::string pattern : {"1|2|33", "1.*", ".*", "", "nothing", "[0-9]"}) {
      for (const auto kind :
           {Matcher::Kind::kEqual, Matcher::Kind::kNotEqual, Matcher::Kind::kRegex, Matcher::Kind::kNotRegex}) {
        const std::vector<Matcher> matchers = {*Matcher::create(kind, "b", pattern),
                                               *Matcher::create(Matcher::Kind::kRegex, "a", "1.|2.")};
        const Postings found = index.select(matchers);
        ASSERT_TRUE(std::is_sorted(found.begin(), found.end()));
        std::set<Slot> slots;
        for (const std::uint32_t position : found) slots.insert(index.slots()[position]);
        std::set<Slot> wanted;
        for (const auto& [slot, labels] : model) {
          if (model::matches_all(matchers, labels)) wanted.insert(slot);
        }
        ASSERT_EQ(slots, wanted) << matchers[0].to_string();
      }
    }
    std::vector<Slot> slots(index.slots().begin(), index.slots().end());
    const std::vector<std::uint32_t> order = index.label_order(slots);
    for (std::size_t i = 1; i < order.size(); ++i) ASSERT_LT(model[slots[order[i - 1]]], model[slots[order[i]]]);
  }
}

}  // namespace
}  // namespace qd::store::metrics
