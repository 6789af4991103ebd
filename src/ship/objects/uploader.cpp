#include "ship/objects/uploader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace qd::ship::objects {

namespace {

using base::ErrorCode;

constexpr int kTries = 5;
constexpr std::int64_t kFirstWaitMs = 500;
// S3 takes no more; a file of chunks is of half a GiB.
constexpr std::uint64_t kPartsMax = 10'000;

// The text of the first element of that name.
std::string element(std::string_view xml, std::string_view name) {
  const std::string open = fmt::format("<{}>", name);
  const auto begin = xml.find(open);
  if (begin == std::string_view::npos) return {};
  const auto text = xml.substr(begin + open.size());
  return std::string(text.substr(0, text.find('<')));
}

base::Error refused(const Outgoing& request, const Answer& answer) {
  const ErrorCode code = answer.status == 403   ? ErrorCode::kPermission
                         : answer.status == 404 ? ErrorCode::kNotFound
                         : answer.status >= 500 || answer.status == 429 || answer.status == 408
                             ? ErrorCode::kUnavailable
                             : ErrorCode::kInvalid;
  const std::string why = element(answer.body, "Code");
  const std::string said = element(answer.body, "Message");
  return {code, fmt::format("{} {}: the store answered {}{}{}{}{}", request.method,
                            request.url.substr(0, request.url.find('?')), answer.status, why.empty() ? "" : " ", why,
                            said.empty() ? "" : ": ", said)};
}

}  // namespace

Uploader::Uploader(base::Files& files, ObjectSettings settings, Surroundings surroundings)
    : files_(files), settings_(std::move(settings)), surroundings_(std::move(surroundings)) {
  host_ = settings_.endpoint.substr(settings_.endpoint.find("://") + 3);
}

base::Result<Answer> Uploader::ask(const std::string& method, const std::string& key,
                                   std::map<std::string, std::string> query, const std::string& body) {
  SignedRequest request{
      .method = method,
      .path = fmt::format("/{}/{}{}{}", settings_.bucket, settings_.prefix, settings_.prefix.empty() ? "" : "/", key),
      .query = std::move(query),
      .body_sha256 = sha256_hex(body)};
  base::Error last(ErrorCode::kUnavailable, "");
  std::int64_t wait = kFirstWaitMs;
  for (int i = 0; i < kTries; ++i) {
    if (i > 0 && !surroundings_.wait_ms(wait))
      return base::fail(ErrorCode::kCancelled, "the upload was stopped; it goes on when this starts again");
    if (i > 0) wait *= 2;
    request.headers = {{"host", host_}};
    if (!body.empty()) request.headers["content-md5"] = md5_base64(body);
    const std::string authorization = sign(
        request, {.access_key = settings_.access_key, .secret_key = settings_.secret_key, .region = settings_.region},
        surroundings_.now_ms());
    Outgoing out{
        .method = method, .url = settings_.endpoint + target_of(request), .headers = request.headers, .body = body};
    out.headers.erase("host");
    out.headers["authorization"] = authorization;
    const Outgoing shown{.method = out.method, .url = out.url};
    auto answer = surroundings_.send(std::move(out));
    if (answer) {
      bytes_sent_ += body.size();
      // What was begun with 200 may end with an error all the same.
      const bool failed_late = answer->status == 200 && answer->body.find("<Error>") != std::string::npos;
      if (answer->status / 100 == 2 && !failed_late) return answer;
      if (failed_late) answer->status = 500;
      last = refused(shown, *answer);
    } else {
      last = answer.error();
    }
    if (last.code() != ErrorCode::kUnavailable && last.code() != ErrorCode::kTimeout) return base::fail(last);
  }
  return base::fail(last);
}

base::Status Uploader::put(const std::filesystem::path& path, const std::string& key) {
  QD_ASSIGN(const auto file, files_.open_read(path));
  QD_ASSIGN(const std::uint64_t size, file->size());
  if (size > settings_.part_bytes) return put_in_parts(*file, size, key);
  std::string body(size, '\0');
  QD_ASSIGN(const std::size_t read, file->read_at(0, std::as_writable_bytes(std::span(body))));
  if (read != size) return base::fail(ErrorCode::kCorrupt, fmt::format("{} is shorter than it was", path.native()));
  QD_TRY(ask("PUT", key, {}, body));
  return {};
}

base::Status Uploader::put_in_parts(const base::File& file, std::uint64_t size, const std::string& key) {
  QD_ASSIGN(const Answer begun, ask("POST", key, {{"uploads", ""}}, ""));
  const std::string upload = element(begun.body, "UploadId");
  if (upload.empty())
    return base::fail(ErrorCode::kInvalid, fmt::format("{}: the store began an upload in parts without a name", key));
  const auto attempt = [&]() -> base::Status {
    QD_ASSIGN(const std::string list, put_parts(file, size, key, upload));
    QD_TRY(ask("POST", key, {{"uploadId", upload}}, list));
    return {};
  };
  base::Status done = attempt();
  // Parts that belong to nothing cost money until somebody removes them.
  if (!done) static_cast<void>(ask("DELETE", key, {{"uploadId", upload}}, ""));
  return done;
}

base::Result<std::string> Uploader::put_parts(const base::File& file, std::uint64_t size, const std::string& key,
                                              const std::string& upload) {
  const std::uint64_t part_bytes = std::max(settings_.part_bytes, size / kPartsMax + 1);
  std::string list = "<CompleteMultipartUpload>";
  std::uint64_t number = 0;
  for (std::uint64_t at = 0; at < size; at += part_bytes) {
    std::string body(std::min(part_bytes, size - at), '\0');
    QD_ASSIGN(const std::size_t read, file.read_at(at, std::as_writable_bytes(std::span(body))));
    if (read != body.size()) return base::fail(ErrorCode::kCorrupt, fmt::format("{}: its file became shorter", key));
    ++number;
    QD_ASSIGN(const Answer put, ask("PUT", key, {{"partNumber", fmt::to_string(number)}, {"uploadId", upload}}, body));
    list += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number, put.etag);
  }
  return list + "</CompleteMultipartUpload>";
}

base::Status Uploader::check(const std::string& key, std::uint64_t bytes) {
  QD_ASSIGN(const Answer there, ask("HEAD", key, {}, ""));
  if (there.content_length == bytes) return {};
  return base::fail(ErrorCode::kCorrupt,
                    fmt::format("{} is of {} bytes in the store, and {} were sent", key, there.content_length, bytes));
}

}  // namespace qd::ship::objects
