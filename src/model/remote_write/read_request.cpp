#include "model/remote_write/read_request.h"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "base/bytes.h"

namespace qd::model::remote_write {
namespace {

using base::ErrorCode;
using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

// The numbers of prometheus.LabelMatcher.Type and ReadRequest.ResponseType.
constexpr Matcher::Kind kKinds[] = {Matcher::Kind::kEqual, Matcher::Kind::kNotEqual, Matcher::Kind::kRegex,
                                    Matcher::Kind::kNotRegex};
constexpr std::uint64_t kSamples = 0;
constexpr std::uint64_t kStreamedXorChunks = 1;

constexpr auto bytes_field(std::uint32_t tag) {
  return tag_and_type(tag, pbf_wire_type::length_delimited);
}

base::Result<Matcher> read_matcher(pbf_reader reader) {
  std::uint64_t kind = 0;
  std::string name;
  std::string value;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, pbf_wire_type::varint):
        kind = reader.get_uint64();
        break;
      case bytes_field(2):
        name = reader.get_string();
        break;
      case bytes_field(3):
        value = reader.get_string();
        break;
      default:
        reader.skip();
    }
  }
  if (kind >= std::size(kKinds)) return base::fail(ErrorCode::kInvalid, fmt::format("there is no matcher {}", kind));
  if (name.empty()) return base::fail(ErrorCode::kInvalid, "a matcher names no label");
  return Matcher::create(kKinds[kind], std::move(name), std::move(value));
}

base::Result<ReadQuery> read_query(pbf_reader reader) {
  ReadQuery query;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, pbf_wire_type::varint):
        query.from_ms = reader.get_int64();
        break;
      case tag_and_type(2, pbf_wire_type::varint):
        query.to_ms = reader.get_int64();
        break;
      case bytes_field(3): {
        if (query.matchers.size() == kReadMatchersMax)
          return base::fail(ErrorCode::kLimit, fmt::format("a query has more than {} matchers", kReadMatchersMax));
        QD_ASSIGN(Matcher matcher, read_matcher(reader.get_message()));
        query.matchers.push_back(std::move(matcher));
        break;
      }
      default:
        reader.skip();
    }
  }
  if (query.matchers.empty()) return base::fail(ErrorCode::kInvalid, "a query has no matcher");
  return query;
}

void note_type(std::uint64_t type, std::optional<bool>& streamed) {
  if (streamed) return;
  if (type == kSamples) streamed = false;
  if (type == kStreamedXorChunks) streamed = true;
}

base::Result<ReadRequest> read_all(pbf_reader reader) {
  ReadRequest request;
  std::optional<bool> streamed;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1): {
        if (request.queries.size() == kReadQueriesMax)
          return base::fail(ErrorCode::kLimit, fmt::format("there are more than {} queries", kReadQueriesMax));
        QD_ASSIGN(ReadQuery query, read_query(reader.get_message()));
        request.queries.push_back(std::move(query));
        break;
      }
      case tag_and_type(2, pbf_wire_type::varint):
        note_type(reader.get_uint64(), streamed);
        break;
      case bytes_field(2):
        for (const auto type : reader.get_packed_uint64()) note_type(type, streamed);
        break;
      default:
        reader.skip();
    }
  }
  if (request.queries.empty()) return base::fail(ErrorCode::kInvalid, "there is no query");
  request.streamed = streamed.value_or(false);
  return request;
}

}  // namespace

base::Result<ReadRequest> read_read_request(std::string_view message) {
  try {
    return read_all(pbf_reader(message.data(), message.size()));
  } catch (const protozero::exception& e) {
    return base::fail(ErrorCode::kInvalid, fmt::format("the body is no message of remote read: {}", e.what()));
  }
}

std::string write_read_request(const ReadRequest& request) {
  std::string message;
  pbf_writer writer(message);
  for (const ReadQuery& query : request.queries) {
    pbf_writer one(writer, 1);
    one.add_int64(1, query.from_ms);
    one.add_int64(2, query.to_ms);
    for (const Matcher& matcher : query.matchers) {
      pbf_writer field(one, 3);
      for (std::size_t i = 0; i < std::size(kKinds); ++i)
        if (kKinds[i] == matcher.kind()) field.add_enum(1, static_cast<std::int32_t>(i));
      field.add_string(2, matcher.name());
      field.add_string(3, matcher.value());
    }
  }
  if (request.streamed) writer.add_enum(2, static_cast<std::int32_t>(kStreamedXorChunks));
  return message;
}

void append_query_result(std::string& response, std::string_view series) {
  pbf_writer(response).add_message(1, series.data(), series.size());
}

void append_frame(std::string& out, std::string_view encoded_labels, const std::vector<ChunkView>& chunks,
                  std::size_t query_index) {
  std::string message;
  pbf_writer writer(message);
  {
    pbf_writer series(writer, 1);
    // The fields of the labels, with their tags: a ChunkedSeries has them as a TimeSeries does.
    message.append(encoded_labels);
    for (const ChunkView& chunk : chunks) {
      pbf_writer field(series, 2);
      field.add_int64(1, chunk.min_ms);
      field.add_int64(2, chunk.max_ms);
      field.add_enum(3, chunk.encoding);
      field.add_bytes(4, chunk.data.data(), chunk.data.size());
    }
  }
  writer.add_int64(2, static_cast<std::int64_t>(query_index));
  base::ByteWriter bytes(out);
  bytes.varint(message.size());
  const std::uint32_t crc = base::crc32c(base::as_bytes(message));
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(crc >> shift & 0xff));
  out += message;
}

}  // namespace qd::model::remote_write
