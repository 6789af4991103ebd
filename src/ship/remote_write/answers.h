// What receivers answer, and what follows from it. Pure functions and values, any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/metadata.h"

namespace qd::ship::remote_write {

// How much of each kind of what is sent.
struct Amounts {
  std::uint64_t samples = 0;
  std::uint64_t exemplars = 0;
  std::uint64_t histograms = 0;

  std::uint64_t all() const { return samples + exemplars + histograms; }
  // Never more than that of each.
  Amounts at_most(const Amounts& that) const;
  // REQUIRES: no more than this of each.
  Amounts without(const Amounts& part) const;
};

// What a receiver answered.
struct Answer {
  int status = 0;
  std::string retry_after;         // the header
  std::string text;                // the body, or its beginning
  std::optional<Amounts> written;  // what it says is stored; nothing where it says nothing, or what is no number
};

// Posts `body`, a message as a Snappy block, and calls back once, on any thread.
using Post = std::function<void(std::string body, std::function<void(base::Result<Answer>)> then)>;
using Families = std::map<std::string, model::Metadata, std::less<>>;

inline constexpr std::int64_t kRetryAfterMsMax = 5 * 60 * 1000;

enum class Verdict : std::uint8_t {
  kTaken,    // 2xx
  kLater,    // 3xx, 5xx, and what is 4xx for the way there, not for what is sent: 401, 403 to 405, 407, 408, 415, 425,
             // 429
  kRefused,  // another 4xx
};
Verdict verdict_of(int status);

// "it answered 503: …", for people.
std::string said(const Answer& answer);

// Of a Retry-After header in seconds, kRetryAfterMsMax at most; a date is not understood and counts as none.
std::int64_t retry_after_ms(const std::string& header);

// The next wait after a failure: twice the one before, `last_ms`, between the bounds; and of that a part by chance,
// half of it at least, so that those that lost one receiver at once do not come back at once.
std::int64_t back_off_ms(std::int64_t& last_ms, std::int64_t least_ms, std::int64_t most_ms, std::mt19937_64& random);

// Messages of remote write 1.0 with all of `families`, each as a Snappy block.
std::vector<std::string> metadata_requests(const Families& families);

// What was told last. Receivers put counts and times into their words, so what is told again is what says something
// else, and once a minute at most.
struct Told {
  std::string words;
  std::optional<std::int64_t> at_ns;

  bool worth_telling(const std::string& now, std::int64_t now_ns);
};

}  // namespace qd::ship::remote_write
