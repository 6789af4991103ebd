#include "ship/remote_write/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/strings.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"

namespace qd::ship::remote_write {

namespace {

constexpr std::size_t kShownBytes = 300;  // of what a receiver says
constexpr std::size_t kMetadataBytesMax = 1 << 20;
constexpr std::int64_t kTellEveryNs = 60LL * 1'000'000'000;

}  // namespace

Amounts Amounts::at_most(const Amounts& that) const {
  return {.samples = std::min(samples, that.samples),
          .exemplars = std::min(exemplars, that.exemplars),
          .histograms = std::min(histograms, that.histograms)};
}

Amounts Amounts::without(const Amounts& part) const {
  return {.samples = samples - part.samples,
          .exemplars = exemplars - part.exemplars,
          .histograms = histograms - part.histograms};
}

Verdict verdict_of(int status) {
  switch (status) {
    case 401:
    case 403:
    case 404:
    case 405:
    case 407:
    case 408:
    case 415:
    case 425:
    case 429:
      return Verdict::kLater;
    default:
      break;
  }
  if (status / 100 == 2) return Verdict::kTaken;
  return status / 100 == 4 ? Verdict::kRefused : Verdict::kLater;
}

std::string said(const Answer& answer) {
  const auto text = base::trim(answer.text);
  return fmt::format("it answered {}{}{}", answer.status, text.empty() ? "" : ": ", text.substr(0, kShownBytes));
}

std::int64_t retry_after_ms(const std::string& header) {
  const auto text = base::trim(header);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds <= 0) return 0;
  return std::min(seconds, kRetryAfterMsMax / 1000) * 1000;
}

std::int64_t back_off_ms(std::int64_t& last_ms, std::int64_t least_ms, std::int64_t most_ms, std::mt19937_64& random) {
  last_ms = std::clamp(last_ms * 2, least_ms, most_ms);
  return std::uniform_int_distribution<std::int64_t>(last_ms / 2, last_ms)(random);
}

std::vector<std::string> metadata_requests(const Families& families) {
  std::vector<std::string> requests;
  std::string message;
  for (const auto& [family, metadata] : families) {
    if (metadata.help.size() > model::kHelpBytesMax) continue;
    model::remote_write::append_metadata(message, family, metadata);
    if (message.size() < kMetadataBytesMax) continue;
    requests.push_back(model::remote_write::pack(message));
    message.clear();
  }
  if (!message.empty()) requests.push_back(model::remote_write::pack(message));
  return requests;
}

bool Told::worth_telling(const std::string& now, std::int64_t now_ns) {
  if (now == words || (at_ns && now_ns - *at_ns < kTellEveryNs)) return false;
  words = now;
  at_ns = now_ns;
  return true;
}

}  // namespace qd::ship::remote_write
