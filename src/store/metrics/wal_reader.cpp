#include "store/metrics/wal_reader.h"

#include <fmt/format.h>

#include <cstring>

#include "base/bytes.h"
#include "store/metrics/wal.h"

namespace qd::store::metrics {
namespace {

using base::Status;

// Looking for the next whole record may check what only looks like one; this bounds the work on hostile bytes.
constexpr std::size_t kSearchFactor = 8;

// Hands the record to `sink`; false when its payload is malformed.
bool deliver(const WalRecord& record, WalSink& sink, std::vector<LoggedSeries>& series, SampleBatch& batch,
             SampleBatch& late) {
  switch (record.type) {
    case WalRecordType::kSeries:
      if (!decode_series(record.payload, series)) return false;
      sink.series(series);
      return true;
    case WalRecordType::kSamples:
      if (!decode_samples(record.payload, batch)) return false;
      sink.samples(batch);
      return true;
    case WalRecordType::kLate:
    case WalRecordType::kLateHistograms:
      if (!decode_late(record, late, batch)) return false;
      sink.late(late);
      if (!batch.refs.empty()) sink.samples(batch);
      return true;
    case WalRecordType::kHistograms:
      if (!decode_histogram_samples(record.payload, batch)) return false;
      sink.samples(batch);
      return true;
    case WalRecordType::kExemplars: {
      std::vector<RefExemplar> exemplars;
      if (!decode_exemplars(record.payload, exemplars)) return false;
      sink.exemplars(exemplars);
      return true;
    }
  }
  return false;
}

// The offset of the first whole record after `at`, or the end.
std::size_t find_record(std::span<const std::byte> bytes, std::size_t at, std::size_t& budget, Checksums checksums) {
  while (at < bytes.size()) {
    const void* const found = std::memchr(bytes.data() + at, 'W', bytes.size() - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data());
    WalRecord record;
    if (read_record(bytes, at, record, Checksums::kIgnore)) {
      if (record.bytes > budget) break;
      budget -= record.bytes;
      if (read_record(bytes, at, record, checksums)) return at;
    }
    ++at;
  }
  return bytes.size();
}

Status set_aside(base::Files& files, const std::filesystem::path& path, const DamagedPart& part,
                 std::span<const std::byte> bytes, base::Log& log) {
  if (bytes.empty()) {
    log.error("a segment of the log is empty: what it held is lost; what follows it is read on",
              {{"file", path.native()}});
    return {};
  }
  const std::filesystem::path aside = fmt::format("{}.{}.damaged", path.native(), part.offset);
  log.error("part of the log is damaged and was set aside; what follows it is read on",
            {{"file", path.native()},
             {"offset", part.offset},
             {"bytes", part.bytes},
             {"copy", aside.native()},
             {"cure", "check the disk and the memory; restore a backup if what this part held is needed"}});
  return base::write_file_atomically(files, aside, base::as_text(bytes.subspan(part.offset, part.bytes)));
}

void tell_missing(const std::filesystem::path& dir, std::uint64_t from, std::uint64_t files, base::Log& log) {
  log.error("segments of the log are missing: what they held is lost; what follows them is read on",
            {{"file", Wal::segment_path(dir, from).native()}, {"files", files}});
}

// What a crash left of the segment being written; the file keeps what is whole.
Status cut_tail(base::Files& files, const std::filesystem::path& path, const DamagedPart& part, base::Log& log) {
  log.warn("a torn record was cut off the end of the log",
           {{"file", path.native()}, {"offset", part.offset}, {"bytes", part.bytes}});
  QD_ASSIGN(const auto file, files.open_append(path));
  QD_TRY(file->truncate(part.offset));
  return file->sync();
}

Status check_header(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  base::ByteReader reader(bytes);
  const std::string_view magic = base::as_text(reader.raw(kWalMagic.size()));
  const auto version = reader.fixed<std::uint32_t>();
  if (reader.ok() && magic == kWalMagic && version > kWalVersion) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("{} has log format {}, and this Quarterdeck reads up to {}: run the newer one that "
                                  "wrote it",
                                  path.native(), version, kWalVersion));
  }
  return {};
}

}  // namespace

std::vector<DamagedPart> read_wal_segment(std::span<const std::byte> bytes, WalSink& sink, std::uint64_t& records,
                                          Checksums checksums) {
  std::vector<DamagedPart> damaged;
  std::vector<LoggedSeries> series;
  SampleBatch batch;
  SampleBatch late;
  std::size_t budget = kSearchFactor * bytes.size();
  std::size_t at = std::min(kWalHeaderBytes, bytes.size());
  if (bytes.size() < kWalHeaderBytes) damaged.push_back({0, bytes.size(), true});
  while (at < bytes.size()) {
    WalRecord record;
    if (read_record(bytes, at, record, checksums) && deliver(record, sink, series, batch, late)) {
      at += record.bytes;
      ++records;
      continue;
    }
    const std::size_t next = find_record(bytes, at + 1, budget, checksums);
    damaged.push_back({at, next - at, next == bytes.size()});
    at = next;
  }
  return damaged;
}

base::Result<WalReport> read_wal(base::Files& files, const std::filesystem::path& dir, std::uint64_t first,
                                 base::Log& log, WalSink& sink) {
  QD_ASSIGN(const std::vector<std::uint64_t> numbers, Wal::list(files, dir));
  WalReport report;
  report.next_segment = first;
  for (const std::uint64_t number : numbers) {
    if (number < first) continue;
    if (number > report.next_segment) {
      ++report.damaged_parts;
      tell_missing(dir, report.next_segment, number - report.next_segment, log);
    }
    report.next_segment = number + 1;
    const auto path = Wal::segment_path(dir, number);
    QD_ASSIGN(const auto mapping, files.map(path));
    const std::span<const std::byte> bytes = mapping->bytes();
    QD_TRY(check_header(bytes, path));
    sink.file(number);
    for (const DamagedPart& part : read_wal_segment(bytes, sink, report.records)) {
      if (part.at_end && number == numbers.back()) {
        ++report.torn_tails;
        QD_TRY(cut_tail(files, path, part, log));
        // Started anew under its number: left behind another one, it would look like one that was emptied.
        if (part.offset == 0) report.next_segment = number;
      } else {
        ++report.damaged_parts;
        QD_TRY(set_aside(files, path, part, bytes, log));
      }
    }
  }
  // A new store has none yet; later, the one that the manifest begins with was there before the manifest named it.
  if (first > 1 && (numbers.empty() || numbers.back() < first)) {
    ++report.damaged_parts;
    tell_missing(dir, first, 1, log);
  }
  return report;
}

}  // namespace qd::store::metrics
