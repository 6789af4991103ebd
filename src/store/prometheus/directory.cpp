#include "store/prometheus/directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "store/prometheus/merged_querier.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using base::MutexLock;
using model::TimestampMs;

// Warnings that are remembered, so as not to be told at every refresh.
constexpr std::size_t kToldMax = 1'000;

TimestampMs oldest_change(const Directory::Content& before, const Directory::Content& after) {
  TimestampMs oldest_ms = model::kMaxTimestampMs;
  const auto note_lacking = [&](const Directory::Content& of, const Directory::Content& in) {
    for (const auto& block : of.blocks) {
      if (std::ranges::find(in.blocks, block) == in.blocks.end()) oldest_ms = std::min(oldest_ms, block->meta().min_ms);
    }
  };
  note_lacking(before, after);
  note_lacking(after, before);
  if (before.head != after.head) {
    for (const auto& head : {before.head, after.head}) {
      if (head && head->counts().series > 0) oldest_ms = std::min(oldest_ms, head->counts().min_ms);
    }
  }
  return oldest_ms;
}

}  // namespace

base::Result<bool> Directory::recognise(base::Files& files, const std::filesystem::path& dir) {
  QD_ASSIGN(const bool there, files.exists(dir));
  if (!there) return false;
  for (const char* name : {"chunks_head", "chunks_snapshot", "meta.json"}) {
    QD_ASSIGN(const bool found, files.exists(dir / name));
    if (found) return true;
  }
  QD_ASSIGN(const std::vector<std::string> names, files.list(dir));
  for (const std::string& name : names) {
    if (!is_ulid(name)) continue;
    QD_ASSIGN(const bool found, files.exists(dir / name / kMetaName));
    if (found) return true;
  }
  return false;
}

base::Result<std::unique_ptr<Directory>> Directory::open(base::Files& files, const std::filesystem::path& dir,
                                                         Warn warn) {
  std::unique_ptr<Directory> directory(new Directory(files, dir, std::move(warn)));
  QD_ASSIGN(const bool known, recognise(files, dir));
  if (!known) {
    return base::fail(ErrorCode::kNotFound,
                      fmt::format("{} holds no blocks of Prometheus, nor the log of one: name its data directory "
                                  "(--storage.tsdb.path), or a folder of blocks",
                                  dir.native()));
  }
  QD_TRY(directory->refresh());
  return directory;
}

base::Result<std::vector<std::filesystem::path>> Directory::block_dirs() const {
  std::vector<std::filesystem::path> dirs;
  QD_ASSIGN(const bool itself, files_.exists(dir_ / kMetaName));
  if (itself) {
    dirs.push_back(dir_);
    return dirs;
  }
  QD_ASSIGN(const std::vector<std::string> names, files_.list(dir_));
  for (const std::string& name : names) {
    // Others are being made or removed.
    if (is_ulid(name)) dirs.push_back(dir_ / name);
  }
  return dirs;
}

void Directory::tell(const Warning& warning) {
  if (std::ranges::find(told_, warning.what) != told_.end()) return;
  if (told_.size() < kToldMax) told_.push_back(warning.what);
  warn_(warning);
}

base::Result<std::string> Directory::head_state() const {
  std::string state;
  for (const char* name : {"wal", "wbl", "chunks_head"}) {
    const auto dir = dir_ / name;
    QD_ASSIGN(const bool there, files_.exists(dir));
    if (!there) continue;
    QD_ASSIGN(const std::vector<std::string> names, files_.list(dir));
    for (const std::string& file : names) state += fmt::format("{}/{} ", name, file);
    if (names.empty()) continue;
    // Only the last one grows; behind the segments stand checkpoints, which do not.
    for (auto last = names.rbegin(); last != names.rend(); ++last) {
      if (last->find('.') != std::string::npos) continue;
      if (const auto file = files_.open_read(dir / *last)) {
        if (const auto size = (*file)->size()) state += fmt::format("{} ", *size);
      }
      break;
    }
  }
  return state;
}

base::Result<TimestampMs> Directory::refresh() {
  // A Prometheus that makes a block meanwhile cuts its log behind that: then what was read has a gap.
  constexpr int kTries = 3;
  TimestampMs oldest_ms = model::kMaxTimestampMs;
  for (int i = 0; i < kTries; ++i) {
    const auto dirs = block_dirs();
    const auto changed_ms = dirs ? refresh(*dirs) : base::Result<TimestampMs>(base::fail(dirs.error()));
    if (!changed_ms) {
      // What an earlier try has read is served already.
      if (i > 0) break;
      return changed_ms;
    }
    oldest_ms = std::min(oldest_ms, *changed_ms);
    if (const auto after = block_dirs(); !after || *after == *dirs) break;
  }
  return oldest_ms;
}

base::Result<TimestampMs> Directory::refresh(const std::vector<std::filesystem::path>& dirs) {
  const std::shared_ptr<const Content> before = content();
  auto next = std::make_shared<Content>();
  std::set<std::string> replaced;
  for (const auto& dir : dirs) {
    std::shared_ptr<const Block> block;
    if (before) {
      const auto known = std::ranges::find(before->blocks, dir, &Block::dir);
      if (known != before->blocks.end()) block = *known;
    }
    // More may have been deleted from it.
    if (block) {
      const auto meta = BlockMeta::read(files_, dir);
      const auto deleted = read_tombstones(files_, dir);
      if (!meta || !deleted || *deleted != block->tombstones()) block = nullptr;
    }
    if (!block) {
      auto opened = Block::open(files_, dir);
      if (!opened) {
        QD_ASSIGN(const bool there, files_.exists(dir));
        if (!there) continue;
        tell({fmt::format("block {} is passed over: {}", dir.filename().native(), opened.error().message())});
        next->broken.push_back(opened.error());
        continue;
      }
      block = std::move(*opened);
    }
    for (const std::string& parent : block->meta().parents) replaced.insert(parent);
    if (!block->meta().deletable) next->blocks.push_back(std::move(block));
  }
  std::erase_if(next->blocks, [&](const auto& block) { return replaced.contains(block->meta().ulid); });
  std::ranges::sort(next->blocks, {}, [](const auto& block) { return block->meta().min_ms; });

  TimestampMs from_ms = model::kMinTimestampMs;
  for (const auto& block : next->blocks) {
    if (!block->meta().out_of_order) from_ms = std::max(from_ms, block->meta().end_ms);
  }
  QD_ASSIGN(const std::string state, head_state());
  if (before && state == head_state_ && from_ms == head_from_ms_) {
    next->head = before->head;
  } else if (!state.empty()) {
    QD_ASSIGN(next->head, Head::read(files_, dir_, from_ms, [this](const Warning& warning) { tell(warning); }));
  }
  head_state_ = state;
  head_from_ms_ = from_ms;

  std::vector<std::shared_ptr<const metrics::Querier>> parts;
  if (next->head) parts.push_back(next->head);
  for (auto block = next->blocks.rbegin(); block != next->blocks.rend(); ++block) parts.push_back(*block);
  auto merged = std::make_shared<const MergedQuerier>(std::move(parts));
  const TimestampMs changed_ms = before ? oldest_change(*before, *next) : model::kMinTimestampMs;
  MutexLock lock(mutex_);
  content_ = std::move(next);
  querier_ = std::move(merged);
  return changed_ms;
}

std::shared_ptr<const Directory::Content> Directory::content() const {
  MutexLock lock(mutex_);
  return content_;
}

std::shared_ptr<const metrics::Querier> Directory::querier() const {
  MutexLock lock(mutex_);
  return querier_;
}

Interval Directory::reach() const {
  const auto all = content();
  Interval reach{.min_ms = model::kMaxTimestampMs, .max_ms = model::kMinTimestampMs};
  for (const auto& block : all->blocks) {
    if (block->meta().end_ms == block->meta().min_ms) continue;
    reach.min_ms = std::min(reach.min_ms, block->meta().min_ms);
    reach.max_ms = std::max(reach.max_ms, block->meta().end_ms - 1);
  }
  if (all->head && all->head->counts().series > 0) {
    reach.min_ms = std::min(reach.min_ms, all->head->counts().min_ms);
    reach.max_ms = std::max(reach.max_ms, all->head->counts().max_ms);
  }
  return reach;
}

base::Result<std::unique_ptr<SeriesSet>> Directory::select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                           TimestampMs to_ms, std::size_t series_limit) const {
  return querier()->select(matchers, from_ms, to_ms, series_limit);
}

base::Result<std::vector<std::string>> Directory::label_names(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                              TimestampMs to_ms) const {
  return querier()->label_names(matchers, from_ms, to_ms);
}

base::Result<std::vector<std::string>> Directory::label_values(std::string_view name, std::span<const Matcher> matchers,
                                                               TimestampMs from_ms, TimestampMs to_ms) const {
  return querier()->label_values(name, matchers, from_ms, to_ms);
}

}  // namespace qd::store::prometheus
