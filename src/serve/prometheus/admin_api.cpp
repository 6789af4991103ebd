#include "serve/prometheus/admin_api.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "serve/prometheus/values.h"
#include "store/metrics/store.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using connect::http::Response;

// As Go's strconv.ParseBool.
std::optional<bool> parse_bool(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return std::nullopt;
}

base::Result<Response> delete_series(const Call& call, store::metrics::Store& store) {
  QD_ASSIGN(const auto selectors, match_parameters(call.request));
  if (selectors.empty()) return base::fail(ErrorCode::kInvalid, "no match[] parameter provided");
  QD_ASSIGN(const auto start_ms, time_parameter(call.request, "start", model::kMinTimestampMs));
  QD_ASSIGN(const auto end_ms, time_parameter(call.request, "end", model::kMaxTimestampMs));
  QD_TRY(store.delete_series(selectors, start_ms, end_ms));
  return Response{.status = 204};
}

base::Result<Response> clean_tombstones(const Call&, store::metrics::Store& store) {
  QD_TRY(store.clean_tombstones());
  return Response{.status = 204};
}

base::Result<Response> snapshot(const Call& call, const TakeSnapshot& take) {
  const auto text = call.request.param("skip_head").value_or("");
  const auto skip_head = text.empty() ? false : parse_bool(text);
  if (!skip_head)
    return base::fail(ErrorCode::kInvalid, "invalid parameter \"skip_head\": it is neither true nor false");
  QD_ASSIGN(const std::string name, take(*skip_head));
  return success([&](std::string& out) { JsonWriter(out).begin_object().field("name", name).end_object(); });
}

}  // namespace

void add_admin_routes(Router& router, store::metrics::Store& store, TakeSnapshot snapshot_taker) {
  const auto add = [&](std::string path, std::function<base::Result<Response>(const Call&)> handle) {
    router.add({.methods = {"POST", "PUT"},
                .path = std::move(path),
                .access = Access::kAct,
                .computes = true,
                .handler = [handle = std::move(handle)](Call call) {
                  auto response = handle(call);
                  call.reply.send(response ? std::move(*response) : api_error(response.error()));
                }});
  };
  add("/api/v1/admin/tsdb/delete_series", [&store](const Call& call) { return delete_series(call, store); });
  add("/api/v1/admin/tsdb/clean_tombstones", [&store](const Call& call) { return clean_tombstones(call, store); });
  add("/api/v1/admin/tsdb/snapshot",
      [take = std::move(snapshot_taker)](const Call& call) { return snapshot(call, take); });
}

}  // namespace qd::serve::prometheus
