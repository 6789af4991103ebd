#include "connect/docker/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/strings.h"

namespace qd::connect::docker {
namespace {

using base::ErrorCode;

// The stream itself has no deadline; its header does.
constexpr std::int64_t kEventsHeaderMs = 24LL * 3600 * 1000;

// The host is only for show: the socket says where the engine is.
http::ClientRequest request_of(const std::string& socket, std::string path, std::int64_t deadline_ms,
                               std::uint64_t bytes_max) {
  return {.url = "http://docker" + std::move(path),
          .deadline_ms = deadline_ms,
          .body_bytes_max = bytes_max,
          .follow_redirects = false,
          .accept_gzip = false,
          .unix_socket_path = socket};
}

base::Error explain(const base::Error& error, const std::string& socket) {
  if (error.code() != ErrorCode::kPermission) return error.within(fmt::format("container engine at {}", socket));
  return {ErrorCode::kPermission,
          fmt::format("no permission to use the container engine's socket {}: add this process's user to the socket's "
                      "group (usermod -aG docker USER, or SupplementaryGroups=docker in its systemd unit) and start it "
                      "anew, or run it as root",
                      socket)};
}

base::Error refusal(const http::ClientResponse& response, const std::string& socket, std::string_view path) {
  const std::string said = parse_message(response.body);
  const auto what = fmt::format("container engine at {}: {} answered {}{}{}", socket, path, response.status,
                                said.empty() ? "" : ": ", said);
  switch (response.status) {
    case 400:
      return {ErrorCode::kInvalid, what};
    case 401:
    case 403:
      return {ErrorCode::kPermission,
              what + "; a proxy in front of it must allow _ping, version, containers and events"};
    case 404:
      return {ErrorCode::kNotFound, what};
    default:
      return {ErrorCode::kUnavailable, what};
  }
}

// "1.41" is 41; nothing for what is no version of this API.
std::optional<int> minor_of(std::string_view version) {
  if (!version.starts_with("1.")) return std::nullopt;
  version.remove_prefix(2);
  int minor = 0;
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), minor);
  if (error != std::errc() || end != version.data() + version.size() || minor < 0) return std::nullopt;
  return minor;
}

base::Result<std::string> agree(std::string_view theirs, const std::string& socket) {
  const auto minor = minor_of(theirs);
  if (!minor)
    return base::fail(ErrorCode::kCorrupt, fmt::format("container engine at {}: it tells no API version", socket));
  if (*minor < Client::kOldestMinor) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("container engine at {}: it speaks API {} and 1.{} is needed; install Docker 1.12 or "
                                  "newer",
                                  socket, theirs, Client::kOldestMinor));
  }
  return fmt::format("1.{}", std::min(*minor, Client::kNewestMinor));
}

// Runs `work` in the pool; what throws there (std::bad_alloc) is an error like any other.
template <typename T>
void compute(const Submit& submit, std::function<base::Result<T>()> work, std::function<void(base::Result<T>)> then) {
  const auto shared = std::make_shared<std::function<void(base::Result<T>)>>(std::move(then));
  const auto queued = submit([work = std::move(work), shared] {
    std::optional<base::Result<T>> result;
    try {
      result.emplace(work());
    } catch (const std::exception& e) {
      result.emplace(base::fail(ErrorCode::kInternal, fmt::format("cannot read the engine's answer: {}", e.what())));
    }
    (*shared)(std::move(*result));
  });
  if (!queued) (*shared)(base::fail(queued.error()));
}

// Events stand in lines of their own.
class Lines {
 public:
  explicit Lines(std::function<void(Event)> on_event) : on_event_(std::move(on_event)) {}

  bool take(std::string_view piece) {
    while (!piece.empty()) {
      const auto end = piece.find('\n');
      if (kept_.size() + std::min(end, piece.size()) > kEventBytesMax) {
        return stop({ErrorCode::kLimit, fmt::format("an event has more than {} bytes", kEventBytesMax)});
      }
      kept_ += piece.substr(0, end);
      if (end == std::string_view::npos) return true;
      piece.remove_prefix(end + 1);
      if (!tell()) return false;
      kept_.clear();
    }
    return true;
  }
  const std::optional<base::Error>& error() const { return error_; }

 private:
  bool tell() {
    if (base::trim(kept_).empty()) return true;
    auto event = parse_event(kept_);
    if (!event) return stop(event.error());
    if (!event->id.empty()) on_event_(std::move(*event));
    return true;
  }
  bool stop(base::Error error) {
    error_ = std::move(error);
    return false;
  }

  std::function<void(Event)> on_event_;
  std::string kept_;
  std::optional<base::Error> error_;
};

}  // namespace

struct Client::State {
  Fetch fetch;
  Submit submit;
  std::string socket;
  std::string version;

  using Answer = std::function<void(base::Result<http::ClientResponse>)>;
  void ask(std::string path, std::int64_t deadline_ms, std::uint64_t bytes_max, Answer then) const {
    auto request = request_of(socket, path, deadline_ms, bytes_max);
    fetch(std::move(request), [socket = socket, path = std::move(path),
                               then = std::move(then)](base::Result<http::ClientResponse> response) {
      if (!response) return then(base::fail(explain(response.error(), socket)));
      if (response->status != 200) return then(base::fail(refusal(*response, socket, path)));
      then(std::move(response));
    });
  }

  // An answer's body, read in the pool.
  template <typename T>
  void read(std::string_view below, std::int64_t deadline_ms, std::uint64_t bytes_max,
            base::Result<T> (*parse)(std::string_view), std::function<void(base::Result<T>)> then) const {
    ask(fmt::format("/v{}{}", version, below), deadline_ms, bytes_max,
        [submit = submit, parse, then = std::move(then)](base::Result<http::ClientResponse> response) {
          if (!response) return then(base::fail(std::move(response).error()));
          const auto body = std::make_shared<const std::string>(std::move(response->body));
          compute<T>(submit, [parse, body] { return parse(*body); }, then);
        });
  }
};

Fetch fetch_by(http::Client& client) {
  return [&client](http::ClientRequest request, http::Client::Then then) -> Cancel {
    return [transfer = client.fetch(std::move(request), std::move(then))]() mutable { transfer.cancel(); };
  };
}

void Client::connect(Fetch fetch, Submit submit, std::string socket, std::function<void(base::Result<Client>)> then) {
  const auto state = std::make_shared<State>(std::move(fetch), std::move(submit), std::move(socket));
  const auto finish = [state, then = std::move(then)](const base::Result<std::string>& theirs) {
    if (!theirs) return then(base::fail(theirs.error()));
    auto agreed = agree(*theirs, state->socket);
    if (!agreed) return then(base::fail(std::move(agreed).error()));
    state->version = std::move(*agreed);
    then(Client(state));
  };
  state->ask("/_ping", kDeadlineMs, kEventBytesMax, [state, finish](base::Result<http::ClientResponse> pong) {
    if (pong) {
      if (const auto version = pong->headers.get("Api-Version")) return finish(std::string(*version));
    } else if (pong.error().code() != ErrorCode::kNotFound && pong.error().code() != ErrorCode::kPermission) {
      return finish(base::fail(pong.error()));
    }
    // Old engines do not say it there, and a proxy may not let that through.
    state->ask("/version", kDeadlineMs, kEventBytesMax, [finish](base::Result<http::ClientResponse> version) {
      finish(version ? parse_version(version->body) : base::fail(version.error()));
    });
  });
}

const std::string& Client::socket() const {
  return state_->socket;
}

const std::string& Client::api_version() const {
  return state_->version;
}

void Client::list(std::function<void(base::Result<std::vector<Listed>>)> then) const {
  state_->read<std::vector<Listed>>("/containers/json?all=true", kListDeadlineMs, kListBytesMax, &parse_list,
                                    std::move(then));
}

void Client::inspect(const std::string& id, std::function<void(base::Result<Details>)> then) const {
  QD_ASSERT(is_id(id), id);
  state_->read<Details>(fmt::format("/containers/{}/json", id), kDeadlineMs, kDetailsBytesMax, &parse_details,
                        std::move(then));
}

Cancel Client::events(std::int64_t since_s, std::function<void(Event)> on_event,
                      std::function<void(base::Error)> ended) const {
  // {"type":["container"]}
  static constexpr std::string_view kFilters = "%7B%22type%22%3A%5B%22container%22%5D%7D";
  const std::string path = fmt::format("/v{}/events?since={}&filters={}", state_->version, since_s, kFilters);
  auto request = request_of(state_->socket, path, kEventsHeaderMs, kEventBytesMax);
  const auto lines = std::make_shared<Lines>(std::move(on_event));
  request.on_body = [lines](std::string_view piece) { return lines->take(piece); };
  return state_->fetch(std::move(request), [socket = state_->socket, lines, ended = std::move(ended)](
                                               const base::Result<http::ClientResponse>& response) {
    const auto within = fmt::format("container engine at {}: events", socket);
    if (lines->error()) return ended(lines->error()->within(within));
    if (!response) return ended(explain(response.error(), socket));
    if (response->status != 200) return ended(refusal(*response, socket, "/events"));
    ended({ErrorCode::kUnavailable, within + ": the engine ended the stream; was it stopped?"});
  });
}

}  // namespace qd::connect::docker
