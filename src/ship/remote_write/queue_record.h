// What stands in a file of the queue: records, each whole or not there at all (docs/formats/forward-queue.md).
//
// A record is a header (marker, type, length, CRC-32C) and a payload, and means the same whatever stands before it.
// Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/sample.h"

namespace qd::ship::remote_write {

inline constexpr std::string_view kQueueMagic = "QDFQ";
inline constexpr std::uint32_t kQueueVersion = 1;
inline constexpr std::size_t kQueueHeaderBytes = 16;
inline constexpr std::size_t kRecordHeaderBytes = 12;
inline constexpr std::size_t kRecordFixedBytes = 12;        // of the payload: time and number of samples
inline constexpr std::size_t kRecordBytesMax = 2ULL << 20;  // of a whole record
inline constexpr std::size_t kRequestBytesMax = kRecordBytesMax - kRecordHeaderBytes - kRecordFixedBytes;

// One request as it waits.
struct RecordView {
  model::TimestampMs time_ms = 0;  // when it was queued
  std::uint32_t samples = 0;
  std::string_view request;  // a WriteRequest as a Snappy block
  std::size_t bytes = 0;     // in the file, with its header
};

// The first bytes of a file.
std::string queue_header(std::uint64_t number);
// Appends a whole record. REQUIRES: request.size() <= kRequestBytesMax.
void append_record(std::string& out, model::TimestampMs time_ms, std::uint32_t samples, std::string_view request);
// False unless a whole record with the right checksum stands at `at`.
bool read_record(std::span<const std::byte> bytes, std::size_t at, RecordView& record);
// The offset of the first whole record from `at` on, or the end.
std::size_t find_record(std::span<const std::byte> bytes, std::size_t at);

}  // namespace qd::ship::remote_write
