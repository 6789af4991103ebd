#include "ship/remote_write/bundle.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "model/remote_write/histogram_wire.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "model/remote_write/write_request_v2.h"
#include "ship/remote_write/batch.h"

namespace qd::ship::remote_write {

namespace {

namespace wire = model::remote_write;

class Distribute final : public wire::EncodedSink {
 public:
  explicit Distribute(std::vector<std::vector<Item>>& shards) : shards_(shards) {}

  void sample(std::string_view labels, const model::Sample& sample) override {
    of(labels).push_back({.labels = labels, .field = {}, .sample = sample, .kind = ItemKind::kSample});
  }
  void other(std::string_view labels, wire::OtherKind kind, std::string_view field) override {
    const bool exemplar = kind == wire::OtherKind::kExemplar;
    of(labels).push_back({.labels = labels,
                          .field = field,
                          .sample = {time_of(kind, field), 0},
                          .kind = exemplar ? ItemKind::kExemplar : ItemKind::kHistogram});
  }

 private:
  std::vector<Item>& of(std::string_view labels) {
    return shards_[std::hash<std::string_view>{}(labels) % shards_.size()];
  }
  static model::TimestampMs time_of(wire::OtherKind kind, std::string_view field) {
    if (kind == wire::OtherKind::kExemplar) {
      const auto exemplar = wire::decode_exemplar(field);
      return exemplar ? exemplar->sample.time_ms : 0;
    }
    const auto histogram = wire::decode_histogram(field);
    return histogram ? histogram->time_ms : 0;
  }

  std::vector<std::vector<Item>>& shards_;
};

// Items of one series.
struct Group {
  std::string_view labels;
  std::vector<const Item*> items;
};

std::vector<Group> by_series(std::span<const Item> items) {
  std::vector<Group> groups;
  std::unordered_map<std::string_view, std::size_t> places;
  for (const Item& item : items) {
    const auto [it, added] = places.try_emplace(item.labels, groups.size());
    if (added) groups.push_back({item.labels, {}});
    groups[it->second].items.push_back(&item);
  }
  return groups;
}

const model::Metadata* find_words(const Families* families, std::string_view name) {
  if (families == nullptr) return nullptr;
  if (const auto it = families->find(name); it != families->end()) return &it->second;
  for (const std::string_view suffix : {"_bucket", "_count", "_sum", "_total"}) {
    if (!name.ends_with(suffix)) continue;
    const auto it = families->find(name.substr(0, name.size() - suffix.size()));
    if (it != families->end()) return &it->second;
  }
  return nullptr;
}

}  // namespace

Amounts count(std::span<const Item> items) {
  Amounts amounts;
  for (const Item& item : items) {
    if (item.kind == ItemKind::kSample) ++amounts.samples;
    if (item.kind == ItemKind::kExemplar) ++amounts.exemplars;
    if (item.kind == ItemKind::kHistogram) ++amounts.histograms;
  }
  return amounts;
}

Bundle make_bundle(std::span<const QueuedRequest> requests, std::size_t shards) {
  QD_ASSERT(shards > 0);
  Bundle bundle;
  bundle.shards.resize(shards);
  bundle.messages.reserve(requests.size());
  for (const QueuedRequest& request : requests) {
    bundle.end = request.end;
    bundle.queued += request.samples;
    auto message = unpack_queued(request.request);
    if (!message) {
      bundle.damaged += request.samples;
      continue;
    }
    bundle.messages.push_back(std::move(*message));
    Distribute distribute(bundle.shards);
    QD_ASSERT(wire::read_encoded(bundle.messages.back(), distribute).has_value());
  }
  return bundle;
}

std::string body_v1(std::span<const Item> items) {
  std::string message;
  std::vector<model::Sample> samples;
  std::string others;
  for (const Group& group : by_series(items)) {
    samples.clear();
    others.clear();
    for (const Item* item : group.items) {
      if (item->kind == ItemKind::kSample) {
        samples.push_back(item->sample);
      } else {
        others += item->field;
      }
    }
    wire::append_series(message, group.labels, samples, others);
  }
  return wire::pack(message);
}

std::string body_v2(std::span<const Item> items, const Families* families) {
  wire::WriteRequestV2 request;
  for (const Group& group : by_series(items)) {
    const auto labels = wire::decode_labels(group.labels);
    if (!labels) continue;
    request.series(*labels, find_words(families, labels->name()));
    for (const Item* item : group.items) {
      if (item->kind == ItemKind::kSample) request.sample(item->sample);
      if (item->kind == ItemKind::kHistogram) {
        const auto timed = wire::decode_histogram(item->field);
        if (timed && timed->stale) {
          request.sample({timed->time_ms, model::stale_nan()});
        } else if (timed && timed->histogram) {
          request.histogram(timed->time_ms, *timed->histogram);
        }
      }
      if (item->kind == ItemKind::kExemplar) {
        const auto exemplar = wire::decode_exemplar(item->field);
        if (exemplar) request.exemplar(exemplar->labels, exemplar->sample);
      }
    }
  }
  return wire::pack(request.finish());
}

std::pair<std::vector<Item>, std::vector<Item>> split_by_time(std::vector<Item> items) {
  QD_ASSERT(items.size() >= 2);
  std::ranges::stable_sort(items, {}, [](const Item& item) { return item.sample.time_ms; });
  const auto middle = items.begin() + static_cast<std::ptrdiff_t>(items.size() / 2);
  std::vector<Item> later(std::make_move_iterator(middle), std::make_move_iterator(items.end()));
  items.erase(middle, items.end());
  return {std::move(items), std::move(later)};
}

}  // namespace qd::ship::remote_write
