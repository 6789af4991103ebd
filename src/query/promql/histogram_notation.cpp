#include "query/promql/histogram_notation.h"

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace qd::query::promql {

namespace {

std::unexpected<base::Error> bad(std::string_view what, std::string_view text) {
  return base::fail(base::ErrorCode::kInvalid, fmt::format("{} in histogram \"{}\"", what, text));
}

class NotationReader {
 public:
  explicit NotationReader(std::string_view text) : text_(text), rest_(base::trim(text)) {}

  base::Result<NotatedHistogram> run() {
    while (!rest_.empty()) {
      const std::size_t colon = rest_.find(':');
      if (colon == std::string_view::npos) return bad("expected key:value", text_);
      const std::string_view key = rest_.substr(0, colon);
      rest_.remove_prefix(colon + 1);
      QD_TRY(field(key, take_value()));
      rest_ = base::trim(rest_);
    }
    model::Histogram& h = out_.histogram;
    if (!h.positive.empty()) h.positive_spans = {{offset_, static_cast<std::uint32_t>(h.positive.size())}};
    if (!h.negative.empty()) h.negative_spans = {{negative_offset_, static_cast<std::uint32_t>(h.negative.size())}};
    return std::move(out_);
  }

 private:
  // A word, or a list with its brackets.
  std::string_view take_value() {
    const bool list = rest_.starts_with('[');
    std::size_t end = list ? rest_.find(']') : rest_.find_first_of(" \t");
    if (end == std::string_view::npos) end = rest_.size();
    if (list && end < rest_.size()) ++end;
    const std::string_view value = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return value;
  }

  base::Status field(std::string_view key, std::string_view value) {
    model::Histogram& h = out_.histogram;
    if (key == "schema") return integer(value, h.schema);
    if (key == "offset") return integer(value, offset_);
    if (key == "n_offset") return integer(value, negative_offset_);
    if (key == "sum") return number(value, h.sum);
    if (key == "count") return number(value, h.count);
    if (key == "z_bucket") return number(value, h.zero_count);
    if (key == "z_bucket_w") return number(value, h.zero_threshold);
    if (key == "buckets") return list(value, h.positive);
    if (key == "n_buckets") return list(value, h.negative);
    if (key == "custom_values") return list(value, h.custom_bounds);
    if (key == "counter_reset_hint") return hint(value);
    return bad(fmt::format("unknown key \"{}\"", key), text_);
  }

  base::Status integer(std::string_view value, std::int32_t& out) const {
    const auto read = std::from_chars(value.data(), value.data() + value.size(), out);
    if (read.ec == std::errc() && read.ptr == value.data() + value.size()) return {};
    return bad(fmt::format("bad integer \"{}\"", value), text_);
  }

  base::Status number(std::string_view value, double& out) const {
    const auto read = base::parse_float(value);
    if (!read) return bad(fmt::format("bad number \"{}\"", value), text_);
    out = *read;
    return {};
  }

  base::Status list(std::string_view value, std::vector<double>& out) const {
    if (value.size() < 2 || !value.starts_with('[') || !value.ends_with(']')) {
      return bad(fmt::format("expected [numbers] instead of \"{}\"", value), text_);
    }
    out.clear();
    for (const std::string_view word : base::split(value.substr(1, value.size() - 2), ' ')) {
      if (base::trim(word).empty()) continue;
      QD_TRY(number(base::trim(word), out.emplace_back()));
    }
    if (out.size() > model::kHistogramBucketsMax) return bad("too many buckets", text_);
    return {};
  }

  base::Status hint(std::string_view value) {
    using model::CounterReset;
    constexpr std::pair<std::string_view, CounterReset> kHints[] = {{"unknown", CounterReset::kUnknown},
                                                                    {"reset", CounterReset::kReset},
                                                                    {"not_reset", CounterReset::kNotReset},
                                                                    {"gauge", CounterReset::kGauge}};
    for (const auto& [name, hint] : kHints) {
      if (name != value) continue;
      out_.histogram.reset = hint;
      out_.hint_given = true;
      return {};
    }
    return bad(fmt::format("unknown counter_reset_hint \"{}\"", value), text_);
  }

  const std::string_view text_;
  std::string_view rest_;
  NotatedHistogram out_;
  std::int32_t offset_ = 0;
  std::int32_t negative_offset_ = 0;
};

}  // namespace

base::Result<NotatedHistogram> parse_histogram(std::string_view text) {
  return NotationReader(text).run();
}

}  // namespace qd::query::promql
