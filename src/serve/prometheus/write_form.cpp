#include "serve/prometheus/write_form.h"

#include <fmt/format.h>

#include <string_view>

#include "base/strings.h"
#include "model/remote_write/write_request_v2.h"

namespace qd::serve::prometheus {

using base::ErrorCode;
using connect::http::equal_ignoring_case;

namespace {
constexpr std::size_t kShownBytes = 300;
constexpr std::string_view kProto = "proto=";
}  // namespace

base::Result<WriteForm> write_form(const connect::http::Request& request) {
  const auto encoding = base::trim(request.headers.get("Content-Encoding").value_or("snappy"));
  if (!encoding.empty() && !equal_ignoring_case(encoding, "snappy"))
    return base::fail(ErrorCode::kInvalid, fmt::format("remote write takes a body with Content-Encoding snappy, not {}",
                                                       encoding.substr(0, kShownBytes)));
  const auto parts = base::split(request.headers.get("Content-Type").value_or(""), ';');
  const auto type = base::trim(parts.front());
  if (!type.empty() && !equal_ignoring_case(type, model::remote_write::kContentType))
    return base::fail(ErrorCode::kInvalid, fmt::format("remote write takes {}, not {}",
                                                       model::remote_write::kContentType, type.substr(0, kShownBytes)));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto part = base::trim(parts[i]);
    if (!equal_ignoring_case(part.substr(0, kProto.size()), kProto)) continue;
    auto proto = base::trim(part.substr(kProto.size()));
    if (proto.size() >= 2 && proto.front() == '"' && proto.back() == '"') proto = proto.substr(1, proto.size() - 2);
    if (proto == model::remote_write::kProtoV1) return WriteForm::kV1;
    if (proto == model::remote_write::kProtoV2) return WriteForm::kV2;
    return base::fail(
        ErrorCode::kInvalid,
        fmt::format("{} and {} are taken, not {}: set protobuf_message at the sender", model::remote_write::kProtoV1,
                    model::remote_write::kProtoV2, proto.substr(0, kShownBytes)));
  }
  return WriteForm::kV1;
}

}  // namespace qd::serve::prometheus
