#include "observe/sd/kubernetes_reflector.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "observe/sd/engine_api.h"

namespace qd::observe::sd {

using base::ErrorCode;
using connect::http::ClientResponse;
namespace json = boost::json;

namespace {

constexpr std::int64_t kListMs = 60'000;
constexpr int kPageObjects = 500;
constexpr std::size_t kObjectsMax = 500'000;
constexpr std::size_t kEventBytesMax = 8 << 20;
constexpr std::uint64_t kListBytesMax = 256 << 20;
constexpr int kGone = 410;

// What nobody asks for, and is often most of an object.
void trim(json::value& object) {
  if (json::object* const map = object.if_object()) {
    if (json::value* const meta = map->if_contains("metadata"); meta != nullptr && meta->is_object())
      meta->as_object().erase("managedFields");
  }
}

}  // namespace

Reflector::Reflector(const Surroundings& surroundings, const KubernetesServer& server, std::string path,
                     std::string query, Owner owner)
    : surroundings_(surroundings),
      server_(server),
      path_(std::move(path)),
      query_(std::move(query)),
      owner_(std::move(owner)) {}

void Reflector::start() {
  list_anew();
}

void Reflector::stop() {
  std::function<void()> cancel;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    cancel = std::exchange(cancel_, nullptr);
    for (auto* const timer : {&timer_, &silence_}) {
      if (*timer != 0) surroundings_.scheduler.cancel(*timer);
      *timer = 0;
    }
  }
  if (cancel) cancel();
}

bool Reflector::stopped() const {
  base::MutexLock lock(mutex_);
  return stopped_;
}

connect::http::ClientRequest Reflector::request(const std::string& parameters) const {
  connect::http::ClientRequest request{
      .url = fmt::format("{}{}?{}{}{}", server_.url, path_, parameters, query_.empty() ? "" : "&", query_)};
  request.deadline_ms = kListMs;
  request.body_bytes_max = kListBytesMax;
  request.headers.add("Accept", "application/json");
  request.headers.add("User-Agent", surroundings_.user_agent);
  return request;
}

void Reflector::fetch(connect::http::ClientRequest request, connect::http::Client::Then then) {
  if (stopped()) return;
  auto cancel = surroundings_.fetch(server_.http, std::move(request), std::move(then));
  {
    base::MutexLock lock(mutex_);
    if (!stopped_) {
      cancel_ = std::move(cancel);
      return;
    }
  }
  if (cancel) cancel();
}

void Reflector::list_anew() {
  listing_.clear();
  gone_ = false;
  list({});
}

void Reflector::list(const std::string& from) {
  auto parameters = fmt::format("limit={}", kPageObjects);
  if (!from.empty()) parameters.append("&continue=").append(connect::http::percent_encode(from));
  fetch(request(parameters), [self = shared_from_this()](base::Result<ClientResponse> response) {
    auto shared = std::make_shared<base::Result<ClientResponse>>(std::move(response));
    if (!self->surroundings_.submit([self, shared] { self->listed(std::move(*shared)); }))
      self->fail({ErrorCode::kLimit, "the pool is full"});
  });
}

void Reflector::listed(base::Result<ClientResponse> response) {
  if (stopped()) return;
  if (!response) return fail(response.error());
  std::string more;
  if (const auto taken = take_list(*response, more); !taken) return fail(taken.error());
  if (!more.empty()) return list(more);
  back_off_ms_ = kBackOffMs;
  owner_.replace(std::exchange(listing_, {}));
  watch();
}

base::Status Reflector::take_list(const ClientResponse& response, std::string& more) {
  boost::system::error_code error;
  json::value answer = json::parse(response.body, error);
  if (response.status != 200) {
    return base::fail(
        response.status == 401 || response.status == 403 ? ErrorCode::kPermission : ErrorCode::kUnavailable,
        fmt::format("the API server answered {} to {}{}{}", response.status, path_, error ? "" : ": ",
                    error ? std::string() : text(answer, "message").substr(0, 200)));
  }
  if (error || !answer.is_object() || !field(answer, "items").is_array())
    return base::fail(ErrorCode::kCorrupt, "the API server answered " + path_ + " with no list");
  for (json::value& object : answer.as_object()["items"].as_array()) {
    trim(object);
    if (listing_.size() >= kObjectsMax)
      return base::fail(ErrorCode::kLimit, fmt::format("{} has more than {} objects", path_, kObjectsMax));
    std::string key = key_of(object);
    listing_[std::move(key)] = std::make_shared<const json::value>(std::move(object));
  }
  version_ = text(field(answer, "metadata"), "resourceVersion");
  more = text(field(answer, "metadata"), "continue");
  return {};
}

void Reflector::watch() {
  line_.clear();
  auto one = request(fmt::format("watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}", kWatchS,
                                 connect::http::percent_encode(version_)));
  one.accept_gzip = false;
  one.on_body = [self = shared_from_this()](std::string_view piece) { return self->take_piece(piece); };
  watch_silence();
  fetch(std::move(one),
        [self = shared_from_this()](const base::Result<ClientResponse>& response) { self->watched(response); });
}

// A connection that the other side has forgotten says nothing: it is given up after a time.
void Reflector::watch_silence() {
  base::MutexLock lock(mutex_);
  if (silence_ != 0) surroundings_.scheduler.cancel(silence_);
  silence_ = 0;
  if (stopped_) return;
  silence_ = surroundings_.scheduler.after_ms(kSilenceMs, [self = shared_from_this()] {
    std::function<void()> cancel;
    {
      base::MutexLock inner(self->mutex_);
      self->silence_ = 0;
      cancel = self->cancel_;
    }
    if (cancel) cancel();
  });
}

bool Reflector::take_piece(std::string_view piece) {
  if (stopped()) return false;
  while (true) {
    const std::size_t end = piece.find('\n');
    if (line_.size() + std::min(end, piece.size()) > kEventBytesMax) return false;
    line_.append(piece.substr(0, end));
    if (end == std::string_view::npos) return true;
    piece.remove_prefix(end + 1);
    if (!line_.empty() && !take_event(line_)) return false;
    line_.clear();
  }
}

bool Reflector::take_event(std::string_view line) {
  boost::system::error_code error;
  json::value event = json::parse(line, error);
  if (error || !event.is_object()) return false;
  const std::string type = text(event, "type");
  json::value object = field(event, "object");
  if (type == "ERROR") {
    gone_ = true;
    return false;
  }
  if (std::string version = text(field(object, "metadata"), "resourceVersion"); !version.empty())
    version_ = std::move(version);
  if (type == "BOOKMARK") return true;
  trim(object);
  std::string key = key_of(object);
  const bool deleted = type == "DELETED";
  owner_.change(std::move(key), deleted ? json::value() : std::move(object));
  return true;
}

void Reflector::watched(const base::Result<ClientResponse>& response) {
  {
    base::MutexLock lock(mutex_);
    if (stopped_) return;
    if (silence_ != 0) surroundings_.scheduler.cancel(silence_);
    silence_ = 0;
  }
  if (gone_ || (response && response->status == kGone)) return later(kBackOffMs, &Reflector::list_anew);
  if (response && response->status == 200) return later(kBackOffMs, &Reflector::watch);
  if (!response) return fail(response.error());
  fail({ErrorCode::kUnavailable, fmt::format("the API server answered {} to a watch of {}", response->status, path_)});
}

void Reflector::fail(const base::Error& error) {
  if (stopped()) return;
  owner_.fail(error.within("Kubernetes at " + server_.url));
  const std::int64_t wait_ms = back_off_ms_;
  back_off_ms_ = std::min(2 * back_off_ms_, kBackOffMsMax);
  later(wait_ms, &Reflector::list_anew);
}

void Reflector::later(std::int64_t ms, void (Reflector::*next)()) {
  base::MutexLock lock(mutex_);
  if (stopped_) return;
  cancel_ = nullptr;
  timer_ = surroundings_.scheduler.after_ms(ms, [self = shared_from_this(), next] { (self.get()->*next)(); });
}

}  // namespace qd::observe::sd
