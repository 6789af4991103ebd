// Everything that the memcached collector can tell, and where each number stands in memcached's answers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "observe/family_info.h"

namespace qd::observe::memcached {

std::span<const FamilyInfo> families();
std::span<const LeftOut> left_out();

// The answer of the server that a number is read from.
enum class From : std::uint8_t {
  kStats,     // "stats"
  kExtstore,  // "stats", where external storage is in use: extstore_limit_maxbytes is there
  kProxy,     // "stats", where the server is a proxy: proxy_backend_total is there
  kSettings,  // "stats settings"
  kCrawler,   // "stats settings", where the LRU crawler is on
  kItems,     // "stats items": a sample for each slab class
  kSlabs,     // "stats slabs": a sample for each slab class
};

// A family that is one number of an answer, or a yes or no.
struct Plain {
  FamilyInfo family;
  From from;
  std::string_view key;
  bool is_yes = false;
};
std::span<const Plain> plain_families();

// The families that are put together.
extern const FamilyInfo kUp;
extern const FamilyInfo kVersion;
extern const FamilyInfo kCommands;
extern const FamilyInfo kSlabCommands;
extern const FamilyInfo kLruHits;
extern const FamilyInfo kMemRequested;

}  // namespace qd::observe::memcached
