// What was read from a queue, taken apart for the requests that go out at the same time: each series in one of them,
// its samples in order. And a request's body made of some of it.
//
// A bundle is made on one thread, and then each of its shards belongs to one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/sample.h"
#include "ship/remote_write/answers.h"
#include "ship/remote_write/queue.h"

namespace qd::ship::remote_write {

enum class ItemKind : std::uint8_t { kSample, kExemplar, kHistogram };

// One thing to send. The views live as long as the bundle.
struct Item {
  std::string_view labels;  // as encode_labels gave them
  std::string_view field;   // of what is no sample: exemplar_field, histogram_field
  model::Sample sample{0, 0};
  ItemKind kind = ItemKind::kSample;
};

Amounts count(std::span<const Item> items);

struct Bundle {
  std::vector<std::string> messages;  // unpacked: what the views look at
  std::vector<std::vector<Item>> shards;
  Position end;               // behind the last request in it
  std::uint64_t queued = 0;   // samples, as the queue counts them
  std::uint64_t damaged = 0;  // of them, in requests that nobody can read
};

// REQUIRES: shards >= 1.
Bundle make_bundle(std::span<const QueuedRequest> requests, std::size_t shards);

// The body of one request, as a Snappy block. `families` may be null; with remote write 2.0 each series says what its
// family is.
std::string body_v1(std::span<const Item> items);
std::string body_v2(std::span<const Item> items, const Families* families);

// The earlier half of the items, and the later, by time. REQUIRES: items.size() >= 2.
std::pair<std::vector<Item>, std::vector<Item>> split_by_time(std::vector<Item> items);

}  // namespace qd::ship::remote_write
