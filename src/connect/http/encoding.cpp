#include "connect/http/encoding.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>
#include <optional>

#include "base/assert.h"
#include "base/strings.h"
#include "connect/http/message.h"

namespace qd::connect::http {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // the largest window, with a gzip header
constexpr int kMemoryLevel = 8;
constexpr std::size_t kPieceBytes = 16 * 1024;
constexpr std::size_t kInputBytesMax = 1 << 30;  // zlib counts input in 32 bits

// q=0, q=0.0, q=0.000
bool refused(std::string_view parameters) {
  for (const auto part : base::split(parameters, ';')) {
    const auto parameter = base::trim(part);
    if (parameter.size() >= 3 && (parameter[0] == 'q' || parameter[0] == 'Q') && parameter[1] == '=')
      return parameter.find_first_not_of("0.", 2) == std::string_view::npos;
  }
  return false;
}

}  // namespace

AcceptedEncodings parse_accept_encoding(std::string_view header) {
  std::optional<bool> gzip_said, brotli_said, any_said;
  for (const auto item : base::split(header, ',')) {
    const auto end = std::min(item.find(';'), item.size());
    const auto coding = base::trim(item.substr(0, end));
    const bool wanted = !refused(item.substr(std::min(end + 1, item.size())));
    if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip")) gzip_said = wanted;
    if (equal_ignoring_case(coding, "br")) brotli_said = wanted;
    if (coding == "*") any_said = wanted;
  }
  return {.gzip = gzip_said.value_or(any_said.value_or(false)),
          .brotli = brotli_said.value_or(any_said.value_or(false))};
}

bool compressible(std::string_view content_type) {
  static constexpr std::array<std::string_view, 9> kTypes = {
      "application/json",         "application/javascript", "application/xml",  "application/openmetrics-text",
      "application/x-ndjson",     "application/yaml",       "application/wasm", "image/svg+xml",
      "application/manifest+json"};
  const auto type = base::trim(content_type.substr(0, content_type.find(';')));
  if (type.size() >= 5 && equal_ignoring_case(type.substr(0, 5), "text/")) return true;
  return std::any_of(kTypes.begin(), kTypes.end(), [&](auto known) { return equal_ignoring_case(type, known); });
}

struct GzipStream::State {
  z_stream stream{};
};

GzipStream::GzipStream() : state_(std::make_unique<State>()) {
  const int result =
      deflateInit2(&state_->stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY);
  if (result == Z_MEM_ERROR) throw std::bad_alloc();
  QD_ASSERT(result == Z_OK);
}

GzipStream::~GzipStream() {
  deflateEnd(&state_->stream);
}

void GzipStream::append(std::string_view in, bool last, std::string& out) {
  z_stream& stream = state_->stream;
  do {
    const auto piece = in.substr(0, kInputBytesMax);
    in.remove_prefix(piece.size());
    const int flush = last && in.empty() ? Z_FINISH : Z_NO_FLUSH;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream.avail_in = static_cast<uInt>(piece.size());
    do {
      const auto at = out.size();
      out.resize(at + kPieceBytes);
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + at);
      stream.avail_out = kPieceBytes;
      deflate(&stream, flush);
      out.resize(at + kPieceBytes - stream.avail_out);
    } while (stream.avail_out == 0);
  } while (!in.empty());
}

std::string gzip(std::string_view in) {
  GzipStream stream;
  std::string out;
  stream.append(in, true, out);
  return out;
}

base::Result<std::string> gunzip(std::string_view in, std::size_t bytes_max) {
  const auto none = [] { return base::fail(base::ErrorCode::kInvalid, "the body is not one whole gzip"); };
  z_stream stream{};
  if (in.size() > kInputBytesMax || inflateInit2(&stream, kGzipWindowBits) != Z_OK) return none();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  std::string out;
  int result = Z_OK;
  while (result == Z_OK && out.size() <= bytes_max) {
    const auto at = out.size();
    out.resize(at + kPieceBytes);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + at);
    stream.avail_out = kPieceBytes;
    result = inflate(&stream, Z_NO_FLUSH);
    out.resize(at + kPieceBytes - stream.avail_out);
  }
  const bool whole = result == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (out.size() > bytes_max)
    return base::fail(base::ErrorCode::kLimit, fmt::format("the body unpacks to more than {} bytes", bytes_max));
  if (!whole) return none();
  return out;
}

}  // namespace qd::connect::http
