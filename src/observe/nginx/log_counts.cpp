#include "observe/nginx/log_counts.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/strings.h"
#include "observe/nginx/families.h"

namespace qd::observe::nginx {
namespace {

// Larger ones are not nginx's: a petabyte, thirty years.
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 50;
constexpr double kSecondsMax = 1e9;

// What stands behind the methods of RFC 9110 and 5789 is one class.
constexpr std::array<std::string_view, 10> kMethods{"other", "GET",    "HEAD",    "POST",  "PUT",
                                                    "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"};

constexpr std::array<std::string_view, Histogram::kBounds.size() + 1> kBoundTexts{
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"};

std::uint32_t method_number(std::string_view method) {
  const auto found = std::ranges::find(kMethods, method);
  return found == kMethods.end() ? 0 : static_cast<std::uint32_t>(found - kMethods.begin());
}

bool read_bytes(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value <= kBytesMax;
}

bool read_seconds(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= kSecondsMax;
}

bool can_be_label(std::string_view name) {
  const auto unfit = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f; };
  return name.size() <= BoundedNames::kNameBytesMax && std::ranges::none_of(name, unfit) && base::valid_utf8(name);
}

// Labels of a row, without those that have no value.
class Labels {
 public:
  void add(std::string_view name, std::string_view value) {
    if (!value.empty()) labels_[size_++] = {name, value};
  }
  std::span<const model::Label> all() const { return {labels_.data(), size_}; }

 private:
  std::array<model::Label, 3> labels_;
  std::size_t size_ = 0;
};

}  // namespace

std::uint32_t BoundedNames::number(std::string_view name) {
  if (name.empty()) return kNone;
  if (const auto found = numbers_.find(name); found != numbers_.end()) return found->second;
  if (numbers_.size() >= max_ || !can_be_label(name)) return kOther;
  const auto number = static_cast<std::uint32_t>(names_.size());
  names_.emplace_back(name);
  numbers_.emplace(name, number);
  return number;
}

void Histogram::tell(Sink& sink, std::span<const model::Label> labels) const {
  std::array<model::Label, 4> with_bound;
  std::ranges::copy(labels, with_bound.begin());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    sum += buckets_[i];
    with_bound[labels.size()] = {"le", kBoundTexts[i]};
    sink.sample("_bucket", {with_bound.data(), labels.size() + 1}, static_cast<double>(sum));
  }
  sink.sample("_sum", labels, sum_);
  sink.sample("_count", labels, static_cast<double>(count_));
}

void LogCounts::line(std::string_view text) {
  const auto parsed = parse_log_line(text);
  if (!parsed) {
    ++parse_errors_;
    return;
  }
  ++lines_;
  RequestRow& row = request_row(*parsed);
  ++row.count;
  std::uint64_t bytes = 0;
  if (read_bytes(parsed->response_bytes, bytes)) row.response_bytes += bytes;
  if (read_bytes(parsed->request_bytes, bytes)) {
    row.request_bytes += bytes;
    row.has_request_bytes = true;
  }
  double seconds = 0;
  if (read_seconds(parsed->request_time, seconds)) row.time.observe(seconds);
  if (!parsed->upstream_time.empty()) count_upstreams(*parsed);
}

// An upstream that passed the request on has a status of its own only where the log has $upstream_status; the last one
// answered what nginx answered.
void LogCounts::count_upstreams(const LogLine& line) {
  std::string_view addresses = line.upstream_addr;
  std::string_view statuses = line.upstream_status;
  std::string_view times = line.upstream_time;
  std::string_view connect_times = line.upstream_connect_time;
  for (int i = 0; i < kTriesMax && !times.empty(); ++i) {
    const std::string_view address = next_item(addresses);
    const std::string_view time = next_item(times);
    const std::string_view connect_time = next_item(connect_times);
    std::string_view status = next_item(statuses);
    if (status.empty() && times.empty()) status = line.status;
    double seconds = 0;
    if (!read_seconds(time, seconds)) continue;
    UpstreamRow& row = upstream_row(address, status);
    row.time.observe(seconds);
    if (read_seconds(connect_time, seconds)) row.connect_time.observe(seconds);
  }
}

LogCounts::RequestRow& LogCounts::request_row(const LogLine& line) {
  RequestRow row;
  row.host = hosts_.number(line.host);
  row.method = method_number(line.method);
  row.status = statuses_.number(line.status);
  const auto key_of = [](const RequestRow& r) {
    return (std::uint64_t{r.host} << 32) | (std::uint64_t{r.status} << 16) | r.method;
  };
  auto found = request_index_.find(key_of(row));
  if (found == request_index_.end()) {
    // The place for everything that is too much has to be there when it is needed.
    if (requests_.size() + 1 >= kRequestRowsMax) {
      row.host = row.status = BoundedNames::kOther;
      row.method = 0;
    }
    bool fresh = false;
    std::tie(found, fresh) = request_index_.try_emplace(key_of(row), static_cast<std::uint32_t>(requests_.size()));
    if (fresh) requests_.push_back(row);
  }
  return requests_[found->second];
}

LogCounts::UpstreamRow& LogCounts::upstream_row(std::string_view upstream, std::string_view status) {
  UpstreamRow row;
  row.upstream = upstreams_.number(upstream);
  row.status = statuses_.number(status);
  const auto key_of = [](const UpstreamRow& r) { return (std::uint64_t{r.upstream} << 32) | r.status; };
  auto found = upstream_index_.find(key_of(row));
  if (found == upstream_index_.end()) {
    if (tries_.size() + 1 >= kUpstreamRowsMax) row.upstream = row.status = BoundedNames::kOther;
    bool fresh = false;
    std::tie(found, fresh) = upstream_index_.try_emplace(key_of(row), static_cast<std::uint32_t>(tries_.size()));
    if (fresh) tries_.push_back(row);
  }
  return tries_[found->second];
}

void LogCounts::tell(Sink& sink) const {
  const auto request_labels = [this](const RequestRow& row) {
    Labels labels;
    labels.add("method", kMethods[row.method]);
    labels.add("status", statuses_.name(row.status));
    labels.add("host", hosts_.name(row.host));
    return labels;
  };
  const auto try_labels = [this](const UpstreamRow& row) {
    Labels labels;
    labels.add("status", statuses_.name(row.status));
    labels.add("upstream_addr", upstreams_.name(row.upstream));
    return labels;
  };
  const auto tell_each = [&sink](const FamilyInfo& info, const auto& rows, const auto& wanted, const auto& tell_row) {
    if (std::ranges::none_of(rows, wanted)) return;
    begin(sink, info);
    for (const auto& row : rows) {
      if (wanted(row)) tell_row(row);
    }
  };
  const auto any = [](const auto&) { return true; };
  tell_each(family::kResponses, requests_, any,
            [&](const RequestRow& row) { sink.sample(request_labels(row).all(), static_cast<double>(row.count)); });
  tell_each(family::kResponseSize, requests_, any, [&](const RequestRow& row) {
    sink.sample(request_labels(row).all(), static_cast<double>(row.response_bytes));
  });
  tell_each(
      family::kRequestSize, requests_, [](const RequestRow& row) { return row.has_request_bytes; },
      [&](const RequestRow& row) { sink.sample(request_labels(row).all(), static_cast<double>(row.request_bytes)); });
  tell_each(
      family::kResponseTime, requests_, [](const RequestRow& row) { return row.time.count() > 0; },
      [&](const RequestRow& row) { row.time.tell(sink, request_labels(row).all()); });
  tell_each(family::kUpstreamTime, tries_, any,
            [&](const UpstreamRow& row) { row.time.tell(sink, try_labels(row).all()); });
  tell_each(
      family::kUpstreamConnectTime, tries_, [](const UpstreamRow& row) { return row.connect_time.count() > 0; },
      [&](const UpstreamRow& row) { row.connect_time.tell(sink, try_labels(row).all()); });
  begin(sink, family::kParseErrors);
  sink.sample(static_cast<double>(parse_errors_));
}

}  // namespace qd::observe::nginx
