#include "observe/nginx/fetch.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace qd::observe::nginx {
namespace {

using connect::http::ClientResponse;

// The client keeps its deadlines itself; this is for a loop that is too busy to tell.
constexpr std::chrono::milliseconds kGrace{500};

// Shared with the callback, which may come after the waiting has ended.
struct Answer {
  base::Mutex mutex;
  base::CondVar came;
  std::optional<base::Result<ClientResponse>> result QD_GUARDED_BY(mutex);
};

}  // namespace

Fetch fetch_by(connect::http::Client& client) {
  return [&client](connect::http::ClientRequest request) -> base::Result<ClientResponse> {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(request.deadline_ms) + kGrace;
    auto answer = std::make_shared<Answer>();
    auto transfer = client.fetch(std::move(request), [answer](base::Result<ClientResponse> result) {
      const base::MutexLock lock(answer->mutex);
      answer->result = std::move(result);
      answer->came.notify_one();
    });
    {
      const base::MutexLock lock(answer->mutex);
      while (!answer->result) {
        if (!answer->came.wait_until(answer->mutex, until)) break;
      }
      if (answer->result) return std::move(*answer->result);
    }
    transfer.cancel();
    return base::fail(base::ErrorCode::kTimeout,
                      "the HTTP client did not come to it in time: this machine is overloaded");
  };
}

}  // namespace qd::observe::nginx
