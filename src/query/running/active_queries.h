// Which queries run at this moment, in a file that outlives the process: the next one tells what was running when this
// one died, for a query that takes all memory is best known by its text.
//
// The file (`queries.active` in the data directory) is mapped and of fixed size: a header of 64 bytes (magic
// "QDACTIVE", then as 32-bit numbers version, slots, bytes a slot), then slots. A slot is a state (32 bits: 1 while the
// query runs), the CRC-32C of the rest, and the rest: its length, then times, principal and text as `encode` has them.
// The state is set last and cleared first, so that what a kill leaves is whole; a loss of power may tear a slot, which
// its checksum tells.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/writable_mapping.h"
#include "model/sample.h"

namespace qd::query::running {

struct ActiveQuery {
  std::string principal;
  std::string text;  // its beginning, where it is longer than a slot
  model::TimestampMs begun_ms = 0;
  model::TimestampMs start_ms = 0;
  model::TimestampMs end_ms = 0;
  std::int64_t step_ms = 0;  // 0: an instant query
};

class ActiveQueries {
 public:
  // Queries beyond this many at once are not in the file.
  static constexpr std::size_t kSlots = 128;
  static constexpr std::size_t kSlotBytes = 2048;

  // Logs what the last process left in `path`, then begins anew. Where the file cannot be made, that is logged and
  // queries run without it.
  ActiveQueries(base::Files& files, const std::filesystem::path& path, base::Log& log);
  ActiveQueries(const ActiveQueries&) = delete;
  ActiveQueries& operator=(const ActiveQueries&) = delete;

  // Takes the query out again when it goes.
  class Entry {
   public:
    Entry() = default;
    Entry(Entry&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), slot_(std::exchange(other.slot_, 0)) {}
    Entry& operator=(Entry&&) = delete;
    ~Entry();

   private:
    friend class ActiveQueries;
    Entry(ActiveQueries& owner, std::size_t slot) : owner_(&owner), slot_(slot) {}
    ActiveQueries* owner_ = nullptr;
    std::size_t slot_ = 0;
  };
  // Empty when all slots are taken.
  Entry begin(const ActiveQuery& query) QD_EXCLUDES(mutex_);

  // What a file of that kind says is running. kCorrupt for a file of another kind or version.
  static base::Result<std::vector<ActiveQuery>> read(base::Files& files, const std::filesystem::path& path);

 private:
  void end(std::size_t slot) QD_EXCLUDES(mutex_);
  std::byte* at(std::size_t slot) const;

  std::unique_ptr<base::WritableMapping> mapping_;  // null where there is none
  base::Mutex mutex_;
  std::vector<std::size_t> free_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::query::running
