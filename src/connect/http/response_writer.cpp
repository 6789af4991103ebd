#include "connect/http/response_writer.h"

#include <fmt/format.h>

#include <array>
#include <ctime>

#include "base/format.h"

namespace qd::connect::http {
namespace {

constexpr std::size_t kInlineBytesMax = 16 * 1024;  // bodies up to here are copied behind the header
constexpr std::size_t kUnpackedBytesMax = 256 * 1024 * 1024;

// A response may carry what a client sent; none of it may end the line and begin another header.
bool fits_in_header(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool comes_by_itself(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kNames = {"Content-Length", "Content-Encoding", "Transfer-Encoding",
                                                             "Connection", "Date"};
  for (const auto known : kNames)
    if (equal_ignoring_case(name, known)) return true;
  return false;
}

// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
void append_date(std::string& out, std::int64_t wall_ms) {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = wall_ms / 1000;
  std::tm time{};
  gmtime_r(&seconds, &time);
  base::append_format(out, "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[time.tm_wday], time.tm_mday,
                      kMonths[time.tm_mon], time.tm_year + 1900, time.tm_hour, time.tm_min, time.tm_sec);
}

bool has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

}  // namespace

ResponseWriter::ResponseWriter(Response response, const ResponseTerms& terms)
    : status_(response.status), http_1_1_(terms.http_1_1) {
  const bool bodiless = !has_body(status_);
  std::uint64_t length = 0;
  if (auto* text = std::get_if<std::string>(&response.body)) {
    varies_ = text->size() >= kGzipBytesMin && compressible(response.content_type);
    if (varies_ && terms.accepts.gzip) {
      *text = gzip(*text);
      encoding_ = "gzip";
    }
    auto kept = std::make_shared<const std::string>(std::move(*text));
    body_ = *kept;
    owner_ = std::move(kept);
  } else if (const auto* shared = std::get_if<SharedBody>(&response.body)) {
    varies_ = !shared->gzip.empty() || !shared->brotli.empty();
    owner_ = shared->owner;
    if (terms.accepts.brotli && !shared->brotli.empty()) {
      body_ = shared->brotli;
      encoding_ = "br";
    } else if (terms.accepts.gzip && !shared->gzip.empty()) {
      body_ = shared->gzip;
      encoding_ = "gzip";
    } else if (shared->identity.empty() && !shared->gzip.empty()) {
      auto unpacked = std::make_shared<const std::string>(gunzip(shared->gzip, kUnpackedBytesMax).value_or(""));
      body_ = *unpacked;
      owner_ = std::move(unpacked);
    } else {
      body_ = shared->identity;
    }
  } else {
    generator_ = std::move(std::get<Generator>(response.body));
    generated_ = true;
    chunked_ = terms.http_1_1;
    framed_ = chunked_ || terms.head || bodiless;
    varies_ = compressible(response.content_type);
    if (varies_ && terms.accepts.gzip) {
      encoding_ = "gzip";
      if (!terms.head && !bodiless) gzip_ = std::make_unique<GzipStream>();
    }
  }
  length = body_.size();

  buffer_.reserve(256 + (length <= kInlineBytesMax ? length : 0));
  base::append_format(buffer_, "HTTP/1.1 {} {}\r\n", status_, reason_phrase(status_));
  if (!response.content_type.empty() && fits_in_header(response.content_type))
    base::append_format(buffer_, "Content-Type: {}\r\n", response.content_type);
  if (!bodiless) {
    if (!generated_) base::append_format(buffer_, "Content-Length: {}\r\n", length);
    if (chunked_) buffer_.append("Transfer-Encoding: chunked\r\n");
    if (!encoding_.empty()) base::append_format(buffer_, "Content-Encoding: {}\r\n", encoding_);
    if (varies_) buffer_.append("Vary: Accept-Encoding\r\n");
  }
  for (const auto& header : response.headers) {
    // A handler may have packed a body itself, in a coding of its protocol.
    const bool packed = encoding_.empty() && equal_ignoring_case(header.name, "Content-Encoding");
    if ((comes_by_itself(header.name) && !packed) || header.name.empty()) continue;
    if (!fits_in_header(header.name) || !fits_in_header(header.value)) continue;
    base::append_format(buffer_, "{}: {}\r\n", header.name, header.value);
  }
  if (terms.head || bodiless) {
    body_ = {};
    generator_ = nullptr;
    chunked_ = false;
  }
}

void ResponseWriter::begin(bool keep_alive, std::int64_t wall_ms) {
  append_date(buffer_, wall_ms);
  if (!keep_alive) {
    buffer_.append("Connection: close\r\n");
  } else if (!http_1_1_) {
    buffer_.append("Connection: keep-alive\r\n");
  }
  buffer_.append("\r\n");
  if (body_.size() <= kInlineBytesMax) {
    buffer_.append(body_);
    body_ = {};
    owner_.reset();
  }
}

void ResponseWriter::sent(std::size_t bytes) {
  const std::size_t from_buffer = std::min(bytes, buffer_.size() - buffer_at_);
  buffer_at_ += from_buffer;
  if (buffer_at_ == buffer_.size()) {
    buffer_.clear();
    buffer_at_ = 0;
  }
  body_.remove_prefix(bytes - from_buffer);
}

ResponseWriter::More ResponseWriter::refill() {
  if (!generator_) return More::kEnd;
  std::string piece;
  const bool more = generator_(piece);
  if (!more) generator_ = nullptr;
  const bool nothing_came = piece.empty();
  if (gzip_) {
    std::string packed;
    gzip_->append(piece, !more, packed);
    piece = std::move(packed);
    if (!more) gzip_.reset();
  }
  if (!piece.empty()) {
    if (chunked_) base::append_format(buffer_, "{:x}\r\n", piece.size());
    buffer_.append(piece);
    if (chunked_) buffer_.append("\r\n");
  }
  if (!more && chunked_) buffer_.append("0\r\n\r\n");
  if (!buffer_.empty()) return More::kPiece;
  if (!more) return More::kEnd;
  return nothing_came ? More::kNothingYet : More::kPiece;  // packed away: ask for the next at once
}

}  // namespace qd::connect::http
