// The messages of remote read, prometheus.ReadRequest and what answers it.
//
//   ReadRequest         { repeated Query queries = 1; repeated ResponseType accepted_response_types = 2; }
//   Query               { int64 start_timestamp_ms = 1; int64 end_timestamp_ms = 2; repeated LabelMatcher matchers = 3;
//   } LabelMatcher        { Type type = 1; string name = 2; string value = 3; }               EQ, NEQ, RE, NRE
//   ReadResponse        { repeated QueryResult results = 1; }
//   QueryResult         { repeated TimeSeries timeseries = 1; }
//   ChunkedReadResponse { repeated ChunkedSeries chunked_series = 1; int64 query_index = 2; }
//   ChunkedSeries       { repeated Label labels = 1; repeated Chunk chunks = 2; }
//   Chunk               { int64 min_time_ms = 1; int64 max_time_ms = 2; Encoding type = 3; bytes data = 4; }
//
// Hints are not read: all samples of the range are given, as Prometheus gives them. Pure functions, any thread.
// Source: prometheus/prompb remote.proto and types.proto; storage/remote/chunked.go for the frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"

namespace qd::model::remote_write {

inline constexpr std::string_view kStreamedContentType =
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
inline constexpr std::size_t kReadQueriesMax = 1'000;
inline constexpr std::size_t kReadMatchersMax = 1'000;  // of one query

struct ReadQuery {
  TimestampMs from_ms = 0;
  TimestampMs to_ms = 0;
  std::vector<Matcher> matchers;
};

struct ReadRequest {
  std::vector<ReadQuery> queries;
  bool streamed = false;  // the first type that is accepted and known: chunks in frames, else samples
};

// kInvalid when the bytes are no such message, a matcher is none, or it has no query; kLimit past the bounds.
base::Result<ReadRequest> read_read_request(std::string_view message);
// For tests, and for whoever asks.
std::string write_read_request(const ReadRequest& request);

// Appends one QueryResult to a ReadResponse: `series` are TimeSeries as append_series wrote them, one behind another.
void append_query_result(std::string& response, std::string_view series);

struct ChunkView {
  TimestampMs min_ms = 0;
  TimestampMs max_ms = 0;
  std::uint8_t encoding = 1;  // 1: XOR, 2: histograms, 3: histograms of fractions
  std::string_view data;
};
// Appends one frame: length, CRC-32C (big-endian), and a ChunkedReadResponse with one series.
void append_frame(std::string& out, std::string_view encoded_labels, const std::vector<ChunkView>& chunks,
                  std::size_t query_index);

}  // namespace qd::model::remote_write
