// The files of the queue, `<dir>/<number>.queue`, each a header and records; and `<dir>/POSITION`, how far the receiver
// has taken them (docs/formats/forward-queue.md).
//
// Validity: a record counts when its checksum is right. Records are only ever added at the end of the last file; a file
// is removed once everything in it is acknowledged. A record that is taken back before it was read is cut off, or
// passed over where others stand behind it. A number is never used twice, so that a position always means the bytes
// that it meant when it was written. The position may be behind what the receiver has, never before it.

#include "ship/remote_write/queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/strings.h"
#include "ship/remote_write/queue_record.h"

namespace qd::ship::remote_write {

using base::ErrorCode;
using base::MutexLock;
using base::Status;

namespace {

constexpr std::string_view kSuffix = ".queue";
constexpr std::string_view kPositionName = "POSITION";
constexpr std::string_view kPositionTitle = "quarterdeck-forward-position";
constexpr std::uint64_t kPositionVersion = 1;
constexpr std::size_t kPositionBytesMax = 4096;
constexpr std::uint64_t kFileBytesMax = 16 << 20;
// A full queue gives back whole files: the more there are, the sooner there is room.
constexpr std::uint64_t kFilesMin = 8;
constexpr std::size_t kReadBytes = 2 * kRecordBytesMax;
// A disk that does not read may do so again; with the pauses of who reads, this often is about eight minutes.
constexpr unsigned kFailedReadsMax = 100;
constexpr std::uint64_t kSectorBytes = 4096;

// And not of this process: its descriptors, its memory, its rights, its patience.
bool is_of_the_disk(const base::Error& error) {
  return error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kInternal;
}

template <typename T>
bool parse_number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

base::Result<std::string> make_record(model::TimestampMs time_ms, std::uint32_t samples, std::string_view request) {
  if (request.size() > kRequestBytesMax)
    return base::fail(ErrorCode::kLimit, fmt::format("a request of {} bytes is larger than the queue takes, {}",
                                                     request.size(), kRequestBytesMax));
  std::string record;
  append_record(record, time_ms, samples, request);
  return record;
}

std::string print(Position position) {
  std::string out =
      fmt::format("{} {}\nfile {}\noffset {}\n", kPositionTitle, kPositionVersion, position.file, position.offset);
  out += fmt::format("crc {:08x}\n", base::crc32c(base::as_bytes(out)));
  return out;
}

base::Result<Position> parse_position(std::string_view text, const std::filesystem::path& path) {
  const auto lines = base::split(text, '\n');
  const auto value = [&](std::size_t i, std::string_view name) -> std::string_view {
    if (i >= lines.size() || !lines[i].starts_with(name) || lines[i].size() <= name.size() + 1) return {};
    return lines[i].substr(name.size() + 1);
  };
  std::uint64_t version = 0;
  if (parse_number(value(0, kPositionTitle), version) && version > kPositionVersion)
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} has format {}, and this Quarterdeck reads up to {}: run the newer one that wrote "
                                  "it",
                                  path.native(), version, kPositionVersion));
  Position position;
  std::uint32_t crc = 0;
  const bool whole = parse_number(value(1, "file"), position.file) &&
                     parse_number(value(2, "offset"), position.offset) && parse_number(value(3, "crc"), crc, 16);
  if (!whole || print(position) != text)
    return base::fail(ErrorCode::kCorrupt, fmt::format("{}: its checksum or a line is wrong", path.native()));
  return position;
}

}  // namespace

Queue::Queue(base::Files& files, std::filesystem::path dir, const QueueOptions& options, base::Log& log,
             base::Registry& registry)
    : files_(files),
      dir_(std::move(dir)),
      bytes_max_(options.bytes_max),
      sync_each_(options.sync_each),
      file_bytes_(std::min(kFileBytesMax, options.bytes_max / kFilesMin)),
      setting_(options.setting),
      log_(log),
      damaged_parts_(registry.counter(options.metrics + "_damaged_parts_total",
                                      "Parts of the queue on disk that were found damaged and passed over.",
                                      options.metric_labels)),
      torn_tails_(registry.counter(options.metrics + "_torn_tails_total",
                                   "Torn records cut off the end of the queue at start-up.", options.metric_labels)) {}

base::Result<std::unique_ptr<Queue>> Queue::open(base::Files& files, std::filesystem::path dir,
                                                 const QueueOptions& options, base::Log& log,
                                                 base::Registry& registry) {
  std::unique_ptr<Queue> queue(new Queue(files, std::move(dir), options, log, registry));
  if (Status loaded = queue->load(); !loaded)
    return base::fail(loaded.error().within("opening the queue of what is to be sent"));
  return queue;
}

std::filesystem::path Queue::path_of(std::uint64_t number) const {
  return dir_ / fmt::format("{:08}{}", number, kSuffix);
}

// --- Opening ---

Status Queue::load() {
  QD_TRY(files_.create_directories(dir_));
  QD_ASSIGN(const std::vector<std::string> names, files_.list(dir_));
  std::vector<std::uint64_t> numbers;
  for (const std::string_view name : names) {
    std::uint64_t number = 0;
    if (name.ends_with(kSuffix) && parse_number(name.substr(0, name.size() - kSuffix.size()), number))
      numbers.push_back(number);
    if (name.ends_with(".tmp")) QD_TRY(files_.remove(dir_ / name));
  }
  std::ranges::sort(numbers);
  QD_ASSIGN(const Position position, read_position());
  written_ = position;
  {
    MutexLock lock(mutex_);
    acknowledged_ = position;
  }
  for (const std::uint64_t number : numbers) QD_TRY(load_file(number, number == numbers.back()));
  std::vector<std::uint64_t> finished;
  {
    MutexLock lock(mutex_);
    const std::uint64_t last = std::max(numbers.empty() ? 0 : numbers.back(), position.file);
    QD_TRY(start_file(last + 1));
    finished = take_finished();
    publish();
  }
  remove(finished);
  return {};
}

base::Result<Position> Queue::read_position() {
  const auto path = dir_ / kPositionName;
  QD_ASSIGN(const bool there, files_.exists(path));
  if (!there) return Position{};
  QD_ASSIGN(const std::string text, base::read_file(files_, path, kPositionBytesMax));
  auto position = parse_position(text, path);
  if (position || position.error().code() != ErrorCode::kCorrupt) return position;
  damaged_parts_.add();
  log_.error("how far the queue was sent is not known: all that it holds is sent again", {{"error", position.error()}});
  return Position{};
}

// Counts what waits in a file, and cuts what a crash left at the end of the last.
Status Queue::load_file(std::uint64_t number, bool last) {
  const auto path = path_of(number);
  QD_ASSIGN(const auto readable, files_.open_read(path));
  QD_ASSIGN(const std::uint64_t file_bytes, readable->size());
  // Not mapped: a bad sector would end the process.
  std::string text(std::min<std::uint64_t>(file_bytes, kFileBytesMax + kRecordBytesMax), '\0');
  last = last && text.size() == file_bytes;
  const Part part = read_part(*readable, 0, std::as_writable_bytes(std::span(text)));
  if (part.error) {
    log_.error("a file of the queue cannot be read whole: what stands behind is not counted as waiting",
               {{"file", path.native()}, {"offset", part.bytes}, {"error", *part.error}});
    last = false;  // nothing is cut off that may be read one day
  }
  const auto bytes = base::as_bytes(text).first(part.bytes);
  base::ByteReader reader(bytes);
  const std::string_view magic = base::as_text(reader.raw(kQueueMagic.size()));
  const auto version = reader.fixed<std::uint32_t>();
  if (reader.ok() && magic == kQueueMagic && version > kQueueVersion)
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} has queue format {}, and this Quarterdeck reads up to {}: run the newer one that "
                                  "wrote it",
                                  path.native(), version, kQueueVersion));
  MutexLock lock(mutex_);
  std::size_t at = std::min(kQueueHeaderBytes, bytes.size());
  std::size_t end = at;  // of the last whole record
  while (at < bytes.size()) {
    RecordView record;
    if (!read_record(bytes, at, record)) {
      at = find_record(bytes, at + 1);
      continue;
    }
    at += record.bytes;
    end = at;
    if (Position{number, at} <= acknowledged_) continue;
    samples_ += record.samples;
    if (oldest_ms_ == 0) oldest_ms_ = record.time_ms;
  }
  std::uint64_t size = file_bytes;
  if (last && end < size) {
    torn_tails_.add();
    log_.warn("a torn record was cut off the end of the queue",
              {{"file", path.native()}, {"offset", end}, {"bytes", size - end}});
    QD_ASSIGN(const auto file, files_.open_append(path));
    QD_TRY(file->truncate(end));
    QD_TRY(file->sync());
    size = end;
  }
  sizes_[number] = size;
  return {};
}

// --- Writing ---

Status Queue::start_file(std::uint64_t number) {
  const auto path = path_of(number);
  struct Made {
    std::unique_ptr<base::File> file;
    std::unique_ptr<base::File> for_sync;
  };
  const auto make = [&]() -> base::Result<Made> {
    Made made;
    QD_ASSIGN(made.file, files_.create(path));
    QD_TRY(made.file->append(base::as_bytes(queue_header(number))));
    QD_ASSIGN(made.for_sync, files_.open_append(path));
    QD_TRY(files_.sync_directory(dir_));
    return made;
  };
  auto made = make();
  if (!made) {
    (void)files_.remove(path);
    return base::fail(made.error());
  }
  file_ = std::move(made->file);
  for_sync_ = std::move(made->for_sync);
  torn_ = false;
  sizes_[number] = kQueueHeaderBytes;
  return {};
}

Status Queue::repair() {
  if (!torn_) return {};
  QD_TRY(file_->truncate(sizes_.rbegin()->second));
  torn_ = false;
  return {};
}

bool Queue::drained() const {
  return acknowledged_ >= Position{sizes_.rbegin()->first, sizes_.rbegin()->second};
}

std::uint64_t Queue::disk_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [number, size] : sizes_) sum += size;
  return sum;
}

// The files, but for the last, of which nothing waits any more.
std::vector<std::uint64_t> Queue::take_finished() {
  std::vector<std::uint64_t> finished;
  while (true) {
    for (auto it = sizes_.begin(); it != sizes_.end() && std::next(it) != sizes_.end();) {
      if (it->second > kQueueHeaderBytes && Position{it->first, it->second} > acknowledged_) break;
      finished.push_back(it->first);
      it = sizes_.erase(it);
    }
    acknowledged_ = std::max(acknowledged_, Position{sizes_.begin()->first, kQueueHeaderBytes});
    // What was taken back is done with once everything before it is.
    if (withdrawn_.empty() || withdrawn_.begin()->first > acknowledged_) return finished;
    acknowledged_ = std::max(acknowledged_, withdrawn_.begin()->second);
    withdrawn_.erase(withdrawn_.begin());
  }
}

// A file for `bytes` more.
Status Queue::make_room(std::size_t bytes) {
  QD_TRY(repair());
  const auto [number, size] = *sizes_.rbegin();
  const bool some = size > kQueueHeaderBytes;
  const bool full = disk_bytes() + bytes + kQueueHeaderBytes > bytes_max_;
  if (full && !(some && drained()))
    return base::fail(ErrorCode::kLimit, fmt::format("the queue of what is to be sent is full: it holds {}, {}; raise "
                                                     "that, or mend the way to the receiver",
                                                     setting_, bytes_max_));
  if (!full && (!some || size + bytes <= file_bytes_)) return {};
  // What is left behind must not be lost when what follows is not.
  QD_TRY(file_->sync());
  QD_TRY(start_file(number + 1));
  remove(take_finished());
  return {};
}

Status Queue::append(model::TimestampMs time_ms, std::uint32_t samples, std::string_view request) {
  QD_ASSIGN(const std::string record, make_record(time_ms, samples, request));
  MutexLock lock(mutex_);
  QD_TRY(write(time_ms, samples, record));
  return {};
}

base::Result<Queue::Held> Queue::hold(model::TimestampMs time_ms, std::uint32_t samples, std::string_view request) {
  QD_ASSIGN(const std::string record, make_record(time_ms, samples, request));
  MutexLock lock(mutex_);
  QD_ASSIGN(const Held held, write(time_ms, samples, record));
  held_.emplace(held.begin, held.end);
  return held;
}

void Queue::settle(const Held& held, bool keep) {
  std::vector<std::uint64_t> finished;
  {
    MutexLock lock(mutex_);
    QD_ASSERT(held_.erase(held.begin) == 1);
    if (keep) return;
    samples_ -= std::min<std::uint64_t>(samples_, held.samples);
    withdraw(held.begin, held.end);
    finished = take_finished();
    publish();
  }
  remove(finished);
}

void Queue::withdraw(Position begin, Position end) {
  if (const auto next = withdrawn_.find(end); next != withdrawn_.end()) {
    end = next->second;
    withdrawn_.erase(next);
  }
  if (const auto next = withdrawn_.lower_bound(begin); next != withdrawn_.begin()) {
    const auto before = std::prev(next);
    if (before->second == begin) {
      begin = before->first;
      withdrawn_.erase(before);
    }
  }
  auto& [number, size] = *sizes_.rbegin();
  if (end != Position{number, size}) {
    withdrawn_.emplace(begin, end);
    return;
  }
  size = begin.offset;
  synced_ = std::min(synced_, begin);
  ++cuts_;
  torn_ = true;
  (void)repair();
}

base::Result<Queue::Held> Queue::write(model::TimestampMs time_ms, std::uint32_t samples, std::string_view record) {
  QD_TRY(make_room(record.size()));
  Status written = file_->append(base::as_bytes(record));
  const bool synced = sync_each_;
  if (written && synced) written = file_->sync();
  if (!written) {
    torn_ = true;
    (void)repair();
    return base::fail(written.error());
  }
  if (drained()) oldest_ms_ = time_ms;
  auto& [number, size] = *sizes_.rbegin();
  const Position begin{number, size};
  size += record.size();
  samples_ += samples;
  if (synced) synced_ = {number, size};
  publish();
  return Held{.begin = begin, .end = {number, size}, .samples = samples};
}

Status Queue::sync() {
  std::shared_ptr<base::File> file;
  Position end;
  Position acknowledged;
  std::uint64_t cuts = 0;
  {
    MutexLock lock(mutex_);
    cuts = cuts_;
    end = {sizes_.rbegin()->first, sizes_.rbegin()->second};
    acknowledged = acknowledged_;
    if (end != synced_) file = for_sync_;
  }
  if (acknowledged > written_) {
    QD_TRY(base::write_file_atomically(files_, dir_ / kPositionName, print(acknowledged)));
    written_ = acknowledged;
  }
  if (!file) return {};
  QD_TRY(file->sync());
  MutexLock lock(mutex_);
  if (cuts == cuts_) synced_ = end;
  return {};
}

// --- Reading ---

// Damage at the front of what waits is passed over for good: it is told once.
void Queue::pass_over(std::uint64_t number, std::uint64_t offset, std::uint64_t bytes) {
  damaged_parts_.add();
  log_.error("a part of the queue is damaged and is not sent; what follows it is",
             {{"file", path_of(number).native()},
              {"offset", offset},
              {"bytes", bytes},
              {"cure", "check the disk and the memory; its samples are in the store of this host"}});
  MutexLock lock(mutex_);
  acknowledged_ = std::max(acknowledged_, Position{number, offset + bytes});
}

bool Queue::Gathered::enough(const ReadLimits& limits) const {
  return requests.size() >= limits.requests || samples >= limits.samples || bytes >= limits.bytes;
}

void Queue::Gathered::add(const RecordView& record, Position end) {
  requests.push_back({record.time_ms, record.samples, std::string(record.request), end});
  samples += record.samples;
  bytes += record.bytes;
}

// Whether what the disk did not give, at the front of what waits, is to hold up the rest no longer. What lies with this
// process and its rights waits for whoever can mend that.
bool Queue::gives_up(std::uint64_t number, const base::Error& error) {
  if (number != troubled_) failed_reads_ = lost_sectors_ = 0;
  troubled_ = number;
  return is_of_the_disk(error) && ++failed_reads_ > kFailedReadsMax;
}

// As much as can be read of `into` from `offset` on: less than all of it at the end of the file, or where the disk does
// not give the rest.
Queue::Part Queue::read_part(base::File& file, std::uint64_t offset, std::span<std::byte> into) {
  if (const auto whole = file.read_at(offset, into)) return {.bytes = *whole};
  Part part;
  while (part.bytes < into.size()) {
    const std::uint64_t at = offset + part.bytes;
    const std::size_t step = std::min<std::size_t>(kSectorBytes - at % kSectorBytes, into.size() - part.bytes);
    const auto got = file.read_at(at, into.subspan(part.bytes, step));
    if (!got) part.error = got.error();
    if (!got || *got == 0) break;
    part.bytes += *got;
  }
  return part;
}

// Reads on in one file of `size` bytes. False when there is to be no more: the limits are met, or damage, or what the
// disk does not give, stands behind what was found.
base::Result<bool> Queue::read_file(std::uint64_t number, std::uint64_t size, const Ranges& withdrawn, Position& at,
                                    const ReadLimits& limits, Gathered& gathered) {
  const auto file = files_.open_read(path_of(number));
  if (!file && file.error().code() != ErrorCode::kNotFound) {
    if (!gathered.requests.empty()) return false;
    if (!gives_up(number, file.error())) return base::fail(file.error());
  }
  while (at.offset < size) {
    const auto next_gap = withdrawn.lower_bound(at);
    if (next_gap != withdrawn.end() && next_gap->first == at) {
      at = next_gap->second;
      continue;
    }
    const bool gap_follows = next_gap != withdrawn.end() && next_gap->first < Position{number, size};
    const std::uint64_t stop = gap_follows ? next_gap->first.offset : size;
    std::string& buffer = gathered.buffer;
    buffer.resize(std::min<std::uint64_t>(stop - at.offset, kReadBytes));
    Part part;
    if (file) part = read_part(**file, at.offset, std::as_writable_bytes(std::span(buffer)));
    const std::size_t got = part.bytes;
    const bool to_end = got < buffer.size() || at.offset + got >= stop;
    const auto window = base::as_bytes(buffer).first(got);
    std::size_t in = 0;
    while (in < got) {
      if (gathered.enough(limits)) return false;
      RecordView record;
      if (!read_record(window, in, record)) break;
      in += record.bytes;
      at.offset += record.bytes;
      gathered.add(record, at);
    }
    if (in == got && got > 0) continue;
    // It may only be cut by the window, which holds the largest record whole if that begins it.
    if (in > 0 && !to_end) continue;
    if (!gathered.requests.empty()) return false;
    const std::size_t next = find_record(window, in + 1);
    std::uint64_t bytes = next - in;
    if (next >= got && part.error) {
      if (!gives_up(number, *part.error)) return base::fail(*part.error);
      // Where much was lost the next is passed over in larger steps.
      const std::uint64_t sectors = std::max<std::uint64_t>(lost_sectors_ / 8, 1);
      lost_sectors_ += sectors;
      bytes = std::min(stop, ((at.offset + got) / kSectorBytes + sectors) * kSectorBytes) - at.offset;
    } else if (next >= got) {
      bytes = to_end ? stop - at.offset : got - kRecordBytesMax + 1;
    }
    pass_over(number, at.offset, bytes);
    at.offset += bytes;
  }
  return true;
}

base::Result<std::vector<QueuedRequest>> Queue::read(const ReadLimits& limits) {
  std::map<std::uint64_t, std::uint64_t> sizes;
  Ranges withdrawn;
  Position at;
  {
    MutexLock lock(mutex_);
    sizes = sizes_;
    withdrawn = withdrawn_;
    at = acknowledged_;
    if (!held_.empty()) {
      const Position first = held_.begin()->first;
      sizes.erase(sizes.upper_bound(first.file), sizes.end());
      sizes[first.file] = first.offset;
    }
  }
  Gathered gathered;
  for (auto it = sizes.lower_bound(at.file); it != sizes.end(); ++it) {
    if (at.file != it->first) at = {it->first, kQueueHeaderBytes};
    if (at.offset >= it->second) continue;
    QD_ASSIGN(const bool on, read_file(it->first, it->second, withdrawn, at, limits, gathered));
    if (!on) break;
  }
  if (!gathered.requests.empty()) failed_reads_ = lost_sectors_ = 0;
  MutexLock lock(mutex_);
  if (!gathered.requests.empty()) oldest_ms_ = gathered.requests.front().time_ms;
  if (drained()) samples_ = 0;  // damaged parts took some with them
  publish();
  return std::move(gathered.requests);
}

void Queue::acknowledge(Position until, std::uint64_t samples) {
  std::vector<std::uint64_t> finished;
  {
    MutexLock lock(mutex_);
    acknowledged_ = std::max(acknowledged_, until);
    finished = take_finished();
    samples_ = drained() ? 0 : samples_ - std::min(samples_, samples);
    publish();
  }
  remove(finished);
}

void Queue::remove(const std::vector<std::uint64_t>& numbers) {
  for (const std::uint64_t number : numbers) {
    if (Status removed = files_.remove(path_of(number)); !removed)
      log_.warn("a file of the queue that was sent could not be removed", {{"error", removed.error()}});
  }
}

void Queue::publish() {
  std::uint64_t bytes = 0;
  for (auto it = sizes_.lower_bound(acknowledged_.file); it != sizes_.end(); ++it) {
    const std::uint64_t from =
        std::max<std::uint64_t>(it->first == acknowledged_.file ? acknowledged_.offset : 0, kQueueHeaderBytes);
    bytes += it->second > from ? it->second - from : 0;
  }
  shown_bytes_ = bytes;
  shown_samples_ = samples_;
  shown_oldest_ms_ = drained() ? 0 : oldest_ms_;
}

QueueStats Queue::stats() const {
  return {.bytes = shown_bytes_, .samples = shown_samples_, .oldest_ms = shown_oldest_ms_};
}

}  // namespace qd::ship::remote_write
