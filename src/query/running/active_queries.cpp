#include "query/running/active_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/strings.h"

namespace qd::query::running {

namespace {

using base::ErrorCode;

constexpr std::string_view kMagic = "QDACTIVE";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kFileBytes = kHeaderBytes + ActiveQueries::kSlots * ActiveQueries::kSlotBytes;
// State, checksum, length.
constexpr std::size_t kSlotHeadBytes = 12;
constexpr std::size_t kBodyBytesMax = ActiveQueries::kSlotBytes - kSlotHeadBytes;
constexpr std::size_t kPrincipalBytesMax = 128;
// Five numbers of ten bytes at most and two lengths of two.
constexpr std::size_t kTextBytesMax = kBodyBytesMax - kPrincipalBytesMax - 54;
constexpr std::uint32_t kRunning = 1;

std::string encode(const ActiveQuery& query) {
  std::string out;
  base::ByteWriter writer(out);
  writer.signed_varint(query.begun_ms);
  writer.signed_varint(query.start_ms);
  writer.signed_varint(query.end_ms);
  writer.signed_varint(query.step_ms);
  writer.text(std::string_view(query.principal).substr(0, kPrincipalBytesMax));
  writer.text(std::string_view(query.text).substr(0, kTextBytesMax));
  return out;
}

std::optional<ActiveQuery> decode(std::span<const std::byte> body) {
  base::ByteReader reader(body);
  ActiveQuery query;
  query.begun_ms = reader.signed_varint();
  query.start_ms = reader.signed_varint();
  query.end_ms = reader.signed_varint();
  query.step_ms = reader.signed_varint();
  query.principal = reader.text();
  query.text = reader.text();
  if (!reader.ok()) return std::nullopt;
  return query;
}

std::uint32_t number_at(std::span<const std::byte> bytes, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

}  // namespace

ActiveQueries::ActiveQueries(base::Files& files, const std::filesystem::path& path, base::Log& log) {
  if (files.exists(path).value_or(false)) {
    const auto left = read(files, path);
    if (!left) log.warn("what was running when the last process ended cannot be told", {{"error", left.error()}});
    for (const ActiveQuery& query : left ? *left : std::vector<ActiveQuery>()) {
      log.warn("this query was running when the last process ended", {{"query", query.text},
                                                                      {"principal", query.principal},
                                                                      {"since", base::format_time(query.begun_ms)},
                                                                      {"start", base::format_time(query.start_ms)},
                                                                      {"end", base::format_time(query.end_ms)},
                                                                      {"step_ms", query.step_ms}});
    }
  }
  auto mapping = base::WritableMapping::create(path, kFileBytes);
  if (!mapping) {
    log.warn("queries run without being noted: after a crash nobody can tell which one ran",
             {{"error", mapping.error()}});
    return;
  }
  mapping_ = std::move(*mapping);
  std::string head(kMagic);
  base::ByteWriter writer(head);
  writer.fixed(kVersion);
  writer.fixed(static_cast<std::uint32_t>(kSlots));
  writer.fixed(static_cast<std::uint32_t>(kSlotBytes));
  std::memcpy(mapping_->bytes().data(), head.data(), head.size());
  base::MutexLock lock(mutex_);
  free_.reserve(kSlots);
  for (std::size_t slot = kSlots; slot-- > 0;) free_.push_back(slot);
}

std::byte* ActiveQueries::at(std::size_t slot) const {
  return mapping_->bytes().data() + kHeaderBytes + slot * kSlotBytes;
}

ActiveQueries::Entry ActiveQueries::begin(const ActiveQuery& query) {
  std::size_t slot = 0;
  {
    base::MutexLock lock(mutex_);
    if (free_.empty()) return {};
    slot = free_.back();
    free_.pop_back();
  }
  const std::string body = encode(query);
  std::byte* const to = at(slot);
  const auto length = static_cast<std::uint32_t>(body.size());
  std::memcpy(to + 8, &length, sizeof(length));
  std::memcpy(to + kSlotHeadBytes, body.data(), body.size());
  const std::uint32_t crc = base::crc32c({to + 8, sizeof(length) + body.size()});
  std::memcpy(to + 4, &crc, sizeof(crc));
  std::atomic_ref(*reinterpret_cast<std::uint32_t*>(to)).store(kRunning, std::memory_order_release);
  return {*this, slot};
}

void ActiveQueries::end(std::size_t slot) {
  std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at(slot))).store(0, std::memory_order_release);
  // What the next query writes there comes after the state that says the slot is empty.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  base::MutexLock lock(mutex_);
  free_.push_back(slot);
}

ActiveQueries::Entry::~Entry() {
  if (owner_ != nullptr) owner_->end(slot_);
}

base::Result<std::vector<ActiveQuery>> ActiveQueries::read(base::Files& files, const std::filesystem::path& path) {
  QD_ASSIGN(const std::string content, base::read_file(files, path, kFileBytes));
  const auto bytes = base::as_bytes(content);
  if (content.size() != kFileBytes || !content.starts_with(kMagic) || number_at(bytes, 8) != kVersion ||
      number_at(bytes, 12) != kSlots || number_at(bytes, 16) != kSlotBytes) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("{} is no list of running queries, or of another version: it "
                                                       "is made anew",
                                                       path.native()));
  }
  std::vector<ActiveQuery> found;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const auto here = bytes.subspan(kHeaderBytes + slot * kSlotBytes, kSlotBytes);
    if (number_at(here, 0) != kRunning) continue;
    const std::size_t length = number_at(here, 8);
    if (length > kBodyBytesMax || base::crc32c(here.subspan(8, 4 + length)) != number_at(here, 4)) continue;
    if (auto query = decode(here.subspan(kSlotHeadBytes, length))) found.push_back(std::move(*query));
  }
  std::sort(found.begin(), found.end(),
            [](const ActiveQuery& a, const ActiveQuery& b) { return a.begun_ms < b.begun_ms; });
  return found;
}

}  // namespace qd::query::running
