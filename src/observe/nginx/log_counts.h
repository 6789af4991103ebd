// What the lines of an access log add up to, since the collector began.
//
// Labels come from outside: a client chooses its method and host, an upstream its status. Each label has a bound on how
// many values it takes, and each table on its rows; what comes later is counted under "other".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "observe/collector.h"
#include "observe/nginx/log_line.h"
#include "observe/nginx/log_tail.h"

namespace qd::observe::nginx {

// The values of one label, by number. Number 0 is no value, 1 is "other".
class BoundedNames {
 public:
  static constexpr std::uint32_t kNone = 0;
  static constexpr std::uint32_t kOther = 1;
  // A host name has at most 253.
  static constexpr std::size_t kNameBytesMax = 255;

  explicit BoundedNames(std::size_t max) : max_(max), names_{"", "other"} {}
  // kOther for what cannot be a label's value (control characters, quotes, not UTF-8, too long) or is one too many.
  std::uint32_t number(std::string_view name);
  const std::string& name(std::uint32_t number) const { return names_[number]; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::size_t max_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> numbers_;
};

// With the buckets that Prometheus' client libraries have by default.
class Histogram {
 public:
  static constexpr std::array<double, 11> kBounds{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

  void observe(double value) {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && value > kBounds[bucket]) ++bucket;
    ++buckets_[bucket];
    sum_ += value;
    ++count_;
  }
  std::uint64_t count() const { return count_; }
  // Cumulated, with the label `le` behind `labels`.
  void tell(Sink& sink, std::span<const model::Label> labels) const;

 private:
  std::array<std::uint64_t, kBounds.size() + 1> buckets_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

class LogCounts final : public LineSink {
 public:
  static constexpr std::size_t kHostsMax = 64;
  static constexpr std::size_t kUpstreamsMax = 128;
  static constexpr std::size_t kStatusesMax = 64;
  static constexpr std::size_t kRequestRowsMax = 1000;  // of host, method and status
  static constexpr std::size_t kUpstreamRowsMax = 500;  // of upstream and status
  static constexpr int kTriesMax = 16;                  // upstreams that one request may name

  void line(std::string_view text) override;
  void overlong_line() override { ++parse_errors_; }

  void tell(Sink& sink) const;

  std::uint64_t lines() const { return lines_; }  // that were read
  std::uint64_t parse_errors() const { return parse_errors_; }

 private:
  struct RequestRow {
    std::uint32_t host = 0;
    std::uint32_t method = 0;
    std::uint32_t status = 0;
    std::uint64_t count = 0;
    std::uint64_t response_bytes = 0;
    std::uint64_t request_bytes = 0;
    bool has_request_bytes = false;
    Histogram time;
  };
  struct UpstreamRow {
    std::uint32_t upstream = 0;
    std::uint32_t status = 0;
    Histogram time;
    Histogram connect_time;
  };

  RequestRow& request_row(const LogLine& line);
  UpstreamRow& upstream_row(std::string_view upstream, std::string_view status);
  void count_upstreams(const LogLine& line);

  BoundedNames hosts_{kHostsMax};
  BoundedNames upstreams_{kUpstreamsMax};
  BoundedNames statuses_{kStatusesMax};
  std::unordered_map<std::uint64_t, std::uint32_t> request_index_;
  std::unordered_map<std::uint64_t, std::uint32_t> upstream_index_;
  std::vector<RequestRow> requests_;
  std::vector<UpstreamRow> tries_;
  std::uint64_t lines_ = 0;
  std::uint64_t parse_errors_ = 0;
};

}  // namespace qd::observe::nginx
