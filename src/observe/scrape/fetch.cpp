#include "observe/scrape/fetch.h"

#include <utility>

namespace qd::observe::scrape {

Fetch fetch_by(connect::http::Client& client) {
  return [&client](connect::http::ClientRequest request, Then then) -> std::function<void()> {
    return [transfer = client.fetch(std::move(request), std::move(then))]() mutable { transfer.cancel(); };
  };
}

}  // namespace qd::observe::scrape
