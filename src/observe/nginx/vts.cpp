#include "observe/nginx/vts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "observe/nginx/families.h"
#include "observe/utf8.h"

namespace qd::observe::nginx {
namespace {

namespace json = boost::json;

// Deeper than anything that the module writes.
constexpr std::size_t kDepthMax = 16;
// The module takes 32.
constexpr std::size_t kBucketsMax = 32;

constexpr std::array<std::string_view, 5> kCodes{"1xx", "2xx", "3xx", "4xx", "5xx"};
constexpr std::array<std::string_view, 8> kCacheStates{"miss",     "bypass",      "expired", "stale",
                                                       "updating", "revalidated", "hit",     "scarce"};
constexpr std::array<std::string_view, 7> kConnectionStates{"accepted", "active",  "handled", "reading",
                                                            "requests", "waiting", "writing"};

const json::object* object_in(const json::object& in, std::string_view key) {
  const json::value* value = in.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_in(const json::object& in, std::string_view key) {
  const json::value* value = in.if_contains(key);
  return value == nullptr ? nullptr : value->if_array();
}

std::optional<double> number(const json::value* value) {
  if (value == nullptr || !value->is_number()) return std::nullopt;
  json::error_code ignored;
  return value->to_number<double>(ignored);
}

std::optional<double> number_in(const json::object& in, std::string_view key) {
  return number(in.if_contains(key));
}

std::string text_in(const json::object& in, std::string_view key) {
  const json::value* value = in.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  std::string text(std::string_view(value->get_string()));
  make_utf8(text);
  return text;
}

// A server, an upstream's server, a filter or a cache: what its labels say, and its numbers.
struct Zone {
  std::array<std::string, 2> names;
  const json::object* numbers;
};
using Zones = std::vector<Zone>;

class ZoneCollector {
 public:
  explicit ZoneCollector(bool& cut) : cut_(cut) {}
  // Upstreams may name a server twice; nginx counts both as one.
  void add(std::string_view first, std::string_view second, const json::value& numbers) {
    if (!numbers.is_object()) return;
    if (zones_.size() >= kZonesMax) {
      cut_ = true;
      return;
    }
    Zone zone{{std::string(first), std::string(second)}, &numbers.get_object()};
    for (std::string& name : zone.names) make_utf8(name);
    if (seen_.insert(zone.names).second) zones_.push_back(std::move(zone));
  }
  Zones take() { return std::move(zones_); }

 private:
  bool& cut_;
  Zones zones_;
  std::set<std::array<std::string, 2>> seen_;
};

// Tells families of zones whose labels have these names (the second may be empty).
class Teller {
 public:
  Teller(Sink& sink, const Zones& zones, std::string_view first, std::string_view second = {})
      : sink_(sink), zones_(zones), names_{first, second}, name_count_(second.empty() ? 1 : 2) {}

  // A sample for each of `keys` in the object `in` (the zone itself when empty), with the key's value in `label`.
  void by_key(const FamilyInfo& info, std::string_view in, std::string_view label,
              std::span<const std::string_view> keys) {
    start(info);
    for (const Zone& zone : zones_) {
      const json::object* numbers = in.empty() ? zone.numbers : object_in(*zone.numbers, in);
      if (numbers == nullptr) continue;
      for (const std::string_view key : keys) sample(zone, label, key, number_in(*numbers, key));
    }
    if (total_) add_totals(label);
  }
  // nginx-vts-exporter's code "total".
  Teller& with_total() {
    total_ = true;
    return *this;
  }
  void bytes(const FamilyInfo& info) {
    start(info);
    for (const Zone& zone : zones_) {
      sample(zone, "direction", "in", number_in(*zone.numbers, "inBytes"));
      sample(zone, "direction", "out", number_in(*zone.numbers, "outBytes"));
    }
  }
  void one(const FamilyInfo& info, std::string_view key, double factor) {
    start(info);
    for (const Zone& zone : zones_) {
      if (const auto value = number_in(*zone.numbers, key)) emit({}, zone, {}, {}, *value * factor);
    }
  }
  void usage(const FamilyInfo& info) {
    start(info);
    for (const Zone& zone : zones_) {
      sample(zone, "cache_size", "max", number_in(*zone.numbers, "maxSize"));
      sample(zone, "cache_size", "used", number_in(*zone.numbers, "usedSize"));
    }
  }
  // The module's buckets are cumulated; a zone without them (vhost_traffic_status_histogram_buckets) has no histogram.
  void histogram(const FamilyInfo& info, std::string_view buckets_key, std::string_view msec_counter_key) {
    start(info);
    for (const Zone& zone : zones_) {
      const json::object* buckets = object_in(*zone.numbers, buckets_key);
      if (buckets == nullptr) continue;
      const json::array* bounds = array_in(*buckets, "msecs");
      const json::array* counters = array_in(*buckets, "counters");
      if (bounds == nullptr || counters == nullptr || bounds->empty()) continue;
      double last = -1;
      for (std::size_t i = 0; i < std::min({bounds->size(), counters->size(), kBucketsMax}); ++i) {
        const auto bound = number(&(*bounds)[i]);
        const auto count = number(&(*counters)[i]);
        if (!bound || !count || !(*bound > last)) continue;
        last = *bound;
        emit("_bucket", zone, "le", fmt::format("{:.3f}", *bound / 1000), *count);
      }
      const double count = number_in(*zone.numbers, "requestCounter").value_or(0);
      emit("_bucket", zone, "le", "+Inf", count);
      emit("_sum", zone, {}, {}, number_in(*zone.numbers, msec_counter_key).value_or(0) / 1000);
      emit("_count", zone, {}, {}, count);
    }
  }

 private:
  // A family without samples is not told; the first sample begins it.
  void start(const FamilyInfo& info) {
    info_ = &info;
    begun_ = false;
  }
  void sample(const Zone& zone, std::string_view label, std::string_view label_value, std::optional<double> value) {
    if (value) emit({}, zone, label, label_value, *value);
  }
  void add_totals(std::string_view label) {
    for (const Zone& zone : zones_) sample(zone, label, "total", number_in(*zone.numbers, "requestCounter"));
  }
  void emit(std::string_view suffix, const Zone& zone, std::string_view label, std::string_view label_value,
            double value) {
    if (!std::exchange(begun_, true)) begin(sink_, *info_);
    std::array<model::Label, 3> labels;
    std::size_t size = 0;
    for (; size < name_count_; ++size) labels[size] = {names_[size], zone.names[size]};
    if (!label.empty()) labels[size++] = {label, label_value};
    sink_.sample(suffix, std::span<const model::Label>(labels.data(), size), value);
  }

  Sink& sink_;
  const Zones& zones_;
  std::array<std::string_view, 2> names_;
  std::size_t name_count_;
  bool total_ = false;
  const FamilyInfo* info_ = nullptr;
  bool begun_ = false;
};

constexpr double kMsec = 0.001;

}  // namespace

struct VtsPage::Content {
  // Freed at once; the page's values live in it.
  json::monotonic_resource memory;
  json::value page = json::value(json::storage_ptr(&memory));
  Zones servers;
  Zones filters;
  Zones upstreams;
  Zones caches;
  bool cut = false;

  const json::object& top() const { return page.get_object(); }
};

VtsPage::VtsPage(std::unique_ptr<Content> content) : content_(std::move(content)) {}
VtsPage::VtsPage(VtsPage&&) noexcept = default;
VtsPage& VtsPage::operator=(VtsPage&&) noexcept = default;
VtsPage::~VtsPage() = default;

base::Result<VtsPage> VtsPage::parse(std::string_view text) {
  auto content = std::make_unique<Content>();
  json::parse_options options;
  options.max_depth = kDepthMax;
  options.allow_invalid_utf8 = true;  // names of hosts are as the client sent them
  json::error_code error;
  content->page = json::parse(text, error, &content->memory, options);
  if (error) return base::fail(base::ErrorCode::kCorrupt, "it is no JSON: " + error.message());
  const json::object* top = content->page.if_object();
  if (top == nullptr || object_in(*top, "connections") == nullptr || object_in(*top, "serverZones") == nullptr)
    return base::fail(base::ErrorCode::kCorrupt, "it is JSON, but not of nginx-module-vts");

  const auto each = [&](const char* key, const auto& add) {
    ZoneCollector zones(content->cut);
    if (const json::object* in = object_in(*top, key)) {
      for (const auto& [name, value] : *in) add(zones, std::string_view(name), value);
    }
    return zones.take();
  };
  const auto add_one = [](ZoneCollector& zones, std::string_view name, const json::value& value) {
    zones.add(name, {}, value);
  };
  content->servers = each("serverZones", add_one);
  content->caches = each("cacheZones", add_one);
  content->filters = each("filterZones", [](ZoneCollector& zones, std::string_view name, const json::value& value) {
    const json::object* filters = value.if_object();
    if (filters == nullptr) return;
    for (const auto& [filter, numbers] : *filters) zones.add(name, filter, numbers);
  });
  content->upstreams = each("upstreamZones", [](ZoneCollector& zones, std::string_view name, const json::value& value) {
    const json::array* backends = value.if_array();
    if (backends == nullptr) return;
    for (const json::value& backend : *backends) {
      if (backend.is_object()) zones.add(name, text_in(backend.get_object(), "server"), backend);
    }
  });
  return VtsPage(std::move(content));
}

bool VtsPage::cut() const {
  return content_->cut;
}

StubStatus VtsPage::connections() const {
  const json::object& connections = *object_in(content_->top(), "connections");
  const auto value = [&](std::string_view key) {
    const double number = number_in(connections, key).value_or(0);
    return number >= 0 && number < 1e19 ? static_cast<std::uint64_t>(number) : 0;
  };
  return {.active = value("active"),
          .accepted = value("accepted"),
          .handled = value("handled"),
          .requests = value("requests"),
          .reading = value("reading"),
          .writing = value("writing"),
          .waiting = value("waiting")};
}

void VtsPage::tell(Sink& sink, bool legacy_names) const {
  using namespace family;
  const json::object& top = content_->top();
  const json::object& connections = *object_in(top, "connections");
  const std::string hostname = text_in(top, "hostName");
  const std::string version = text_in(top, "nginxVersion");

  begin(sink, kVtsInfo);
  sink.sample({{"hostname", hostname}, {"module_version", text_in(top, "moduleVersion")}, {"version", version}}, 1);
  if (const auto load = number_in(top, "loadMsec")) {
    begin(sink, kVtsStart);
    sink.sample(*load * kMsec);
  }
  const auto tell_connections = [&](const FamilyInfo& info) {
    begin(sink, info);
    for (const std::string_view state : kConnectionStates) {
      if (const auto value = number_in(connections, state)) sink.sample({{"status", state}}, *value);
    }
  };
  tell_connections(kVtsConnections);
  if (const json::object* shared = object_in(top, "sharedZones")) {
    begin(sink, kVtsShm);
    for (const auto& [label, key] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
             {"max_size", "maxSize"}, {"used_size", "usedSize"}, {"used_node", "usedNode"}}) {
      if (const auto value = number_in(*shared, key)) sink.sample({{"shared", label}}, *value);
    }
  }

  Teller servers(sink, content_->servers, "host");
  servers.bytes(kVtsServerBytes);
  servers.by_key(kVtsServerRequests, "responses", "code", kCodes);
  servers.one(kVtsServerSeconds, "requestMsecCounter", kMsec);
  servers.one(kVtsServerAverage, "requestMsec", kMsec);
  servers.histogram(kVtsServerDuration, "requestBuckets", "requestMsecCounter");
  servers.by_key(kVtsServerCache, "responses", "status", kCacheStates);

  Teller filters(sink, content_->filters, "filter", "filter_name");
  filters.bytes(kVtsFilterBytes);
  filters.by_key(kVtsFilterRequests, "responses", "code", kCodes);
  filters.one(kVtsFilterSeconds, "requestMsecCounter", kMsec);
  filters.one(kVtsFilterAverage, "requestMsec", kMsec);
  filters.histogram(kVtsFilterDuration, "requestBuckets", "requestMsecCounter");
  filters.by_key(kVtsFilterCache, "responses", "status", kCacheStates);

  Teller upstreams(sink, content_->upstreams, "upstream", "backend");
  upstreams.bytes(kVtsUpstreamBytes);
  upstreams.by_key(kVtsUpstreamRequests, "responses", "code", kCodes);
  upstreams.one(kVtsUpstreamSeconds, "requestMsecCounter", kMsec);
  upstreams.one(kVtsUpstreamAverage, "requestMsec", kMsec);
  upstreams.one(kVtsUpstreamResponseSeconds, "responseMsecCounter", kMsec);
  upstreams.one(kVtsUpstreamResponseAverage, "responseMsec", kMsec);
  upstreams.histogram(kVtsUpstreamDuration, "requestBuckets", "requestMsecCounter");
  upstreams.histogram(kVtsUpstreamResponseDuration, "responseBuckets", "responseMsecCounter");

  Teller caches(sink, content_->caches, "cache_zone");
  caches.usage(kVtsCacheUsage);
  caches.bytes(kVtsCacheBytes);
  caches.by_key(kVtsCacheRequests, "responses", "status", kCacheStates);

  if (!legacy_names) return;
  const auto load = number_in(top, "loadMsec");
  const auto now = number_in(top, "nowMsec");
  if (load && now) {
    begin(sink, kLegacyInfo);
    sink.sample({{"hostName", hostname}, {"nginxVersion", version}}, std::floor((*now - *load) * kMsec));
  }
  tell_connections(kLegacyConnections);
  servers.with_total().by_key(kLegacyServerRequests, "responses", "code", kCodes);
  Teller(sink, content_->servers, "host").by_key(kLegacyServerCache, "responses", "status", kCacheStates);
  servers.bytes(kLegacyServerBytes);
  servers.one(kLegacyServerMsec, "requestMsec", 1);
  upstreams.with_total().by_key(kLegacyUpstreamRequests, "responses", "code", kCodes);
  upstreams.bytes(kLegacyUpstreamBytes);
  upstreams.one(kLegacyUpstreamMsec, "requestMsec", 1);
  upstreams.one(kLegacyUpstreamResponseMsec, "responseMsec", 1);
  Teller old_filters(sink, content_->filters, "filter", "filterName");
  old_filters.with_total().by_key(kLegacyFilterRequests, "responses", "code", kCodes);
  old_filters.bytes(kLegacyFilterBytes);
  old_filters.one(kLegacyFilterMsec, "requestMsec", 1);
  Teller old_caches(sink, content_->caches, "zone");
  old_caches.by_key(kLegacyCacheRequests, "responses", "status", kCacheStates);
  old_caches.bytes(kLegacyCacheBytes);
}

}  // namespace qd::observe::nginx
