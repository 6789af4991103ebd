// quarterdeck tsdb analyze and verify: what a directory holds, and whether it is whole. Nothing is written, no lock is
// taken: a server may run on it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "base/strings.h"
#include "cli/tsdb.h"
#include "store/metrics/chunk_block.h"
#include "store/metrics/manifest.h"
#include "store/metrics/segment.h"
#include "store/metrics/tombstones.h"
#include "store/metrics/wal_reader.h"
#include "store/prometheus/directory.h"
#include "store/prometheus/merged_querier.h"

namespace qd::cli {

namespace {

namespace json = boost::json;
namespace prometheus = store::prometheus;
using base::ErrorCode;
using model::TimestampMs;
using store::metrics::Segment;

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

// --- What there is ---

// A segment of ours as a querier, for counting: only select.
class SegmentQuerier final : public store::metrics::Querier {
 public:
  explicit SegmentQuerier(std::shared_ptr<const Segment> segment) : segment_(std::move(segment)) {}

  base::Result<std::unique_ptr<store::metrics::SeriesSet>> select(std::span<const model::Matcher> matchers,
                                                                  TimestampMs from_ms, TimestampMs to_ms,
                                                                  std::size_t) const override {
    QD_ASSIGN(const auto ids, segment_->find(matchers, from_ms, to_ms));
    auto series = std::make_unique<Series>(segment_);
    for (const std::uint32_t id : ids) series->add(id);
    return series;
  }
  base::Result<std::vector<std::string>> label_names(std::span<const model::Matcher>, TimestampMs,
                                                     TimestampMs) const override {
    const auto names = segment_->label_names();
    return std::vector<std::string>(names.begin(), names.end());
  }
  base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const model::Matcher>,
                                                      TimestampMs, TimestampMs) const override {
    const auto values = segment_->label_values(name);
    return std::vector<std::string>(values.begin(), values.end());
  }

 private:
  class Series final : public store::metrics::SeriesSet {
   public:
    explicit Series(std::shared_ptr<const Segment> segment) : segment_(std::move(segment)) {}
    void add(std::uint32_t id) { rows_.emplace_back(segment_->labels(id), id); }
    std::size_t size() const override { return rows_.size(); }
    const model::LabelSet& labels(std::size_t i) const override { return rows_[i].first; }
    base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms,
                      store::metrics::Columns& out) const override {
      out.clear();
      return segment_->read(rows_[i].second, from_ms, to_ms, out);
    }

   private:
    std::shared_ptr<const Segment> segment_;
    std::vector<std::pair<model::LabelSet, std::uint32_t>> rows_;
  };
  std::shared_ptr<const Segment> segment_;
};

struct Part {
  std::string name;
  TimestampMs min_ms = 0;
  TimestampMs max_ms = 0;
  std::uint64_t series = 0;
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;  // 0 where it is not known
};

// Our store's directory in or at `dir`; empty when there is none.
base::Result<std::filesystem::path> our_store(base::Files& files, const std::filesystem::path& dir) {
  for (const auto& candidate : {dir, dir / "metrics"}) {
    QD_ASSIGN(const bool there, files.exists(candidate / "MANIFEST"));
    if (there) return candidate;
  }
  return std::filesystem::path();
}

base::Result<store::metrics::Manifest> read_manifest(base::Files& files, const std::filesystem::path& dir) {
  QD_ASSIGN(auto manifest, store::metrics::Manifest::read(files, dir / "MANIFEST"));
  if (!manifest) return base::fail(ErrorCode::kNotFound, fmt::format("{} has no MANIFEST any more", dir.native()));
  return *std::move(manifest);
}

struct Holdings {
  std::string kind;
  std::vector<Part> parts;
  std::vector<std::shared_ptr<const store::metrics::Querier>> queriers;
  std::unique_ptr<prometheus::Directory> directory;
};

base::Status gather_ours(base::Files& files, const std::filesystem::path& dir, Holdings& holdings) {
  holdings.kind = "quarterdeck";
  QD_ASSIGN(const auto manifest, read_manifest(files, dir));
  for (const std::uint64_t number : manifest.segments) {
    const auto path = store::metrics::numbered(dir / "segments", number, ".seg");
    auto segment = Segment::open(files, path);
    if (!segment) {
      fmt::print(stderr, "quarterdeck: {}\n", segment.error().message());
      continue;
    }
    const auto& info = (*segment)->info();
    holdings.parts.push_back({.name = path.filename(),
                              .min_ms = info.min_ms,
                              .max_ms = info.max_ms,
                              .series = info.series,
                              .samples = info.samples,
                              .bytes = info.bytes});
    holdings.queriers.push_back(std::make_shared<SegmentQuerier>(std::move(*segment)));
  }
  return {};
}

base::Status gather_prometheus(base::Files& files, const std::filesystem::path& dir, Holdings& holdings) {
  holdings.kind = "prometheus";
  const prometheus::Warn warn = [](const prometheus::Warning& warning) {
    fmt::print(stderr, "quarterdeck: {}\n", warning.what);
  };
  QD_ASSIGN(holdings.directory, prometheus::Directory::open(files, dir, warn));
  const auto content = holdings.directory->content();
  for (const auto& block : content->blocks) {
    const auto& meta = block->meta();
    holdings.parts.push_back({.name = meta.ulid,
                              .min_ms = meta.min_ms,
                              .max_ms = meta.end_ms - 1,
                              .series = meta.series,
                              .samples = meta.samples,
                              .bytes = block->bytes()});
  }
  if (content->head) {
    const auto& counts = content->head->counts();
    holdings.parts.push_back({.name = "head",
                              .min_ms = counts.min_ms,
                              .max_ms = counts.max_ms,
                              .series = counts.series,
                              .samples = counts.samples});
  }
  holdings.queriers.push_back(prometheus::borrowed(*holdings.directory));
  return {};
}

base::Status gather(base::Files& files, const std::filesystem::path& dir, Holdings& holdings) {
  QD_ASSIGN(const auto ours, our_store(files, dir));
  return ours.empty() ? gather_prometheus(files, dir, holdings) : gather_ours(files, ours, holdings);
}

// --- analyze ---

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

Counts largest(const std::map<std::string, std::uint64_t, std::less<>>& all, std::size_t n) {
  Counts counts(all.begin(), all.end());
  std::ranges::stable_sort(counts, std::ranges::greater(), &std::pair<std::string, std::uint64_t>::second);
  counts.resize(std::min(n, counts.size()));
  return counts;
}

struct Cardinality {
  std::uint64_t series = 0;
  Counts series_by_metric;
  Counts series_by_pair;
  Counts values_by_label;
};

base::Result<Cardinality> count(const Holdings& holdings, std::size_t rows) {
  Cardinality result;
  const prometheus::MergedQuerier all(holdings.queriers);
  QD_ASSIGN(const auto set, all.select({}, model::kMinTimestampMs, model::kMaxTimestampMs, kNoLimit));
  std::map<std::string, std::uint64_t, std::less<>> by_metric;
  std::map<std::string, std::uint64_t, std::less<>> by_pair;
  result.series = set->size();
  const auto add = [](auto& to, std::string_view key) {
    const auto found = to.find(key);
    if (found != to.end()) {
      ++found->second;
    } else {
      to.emplace(key, 1);
    }
  };
  std::string pair;
  for (std::size_t i = 0; i < set->size(); ++i) {
    for (const model::Label& label : set->labels(i)) {
      if (label.name == model::kMetricName) {
        add(by_metric, label.value);
        continue;
      }
      pair.assign(label.name);
      pair += '=';
      pair += label.value;
      add(by_pair, pair);
    }
  }
  std::map<std::string, std::uint64_t, std::less<>> by_label;
  by_label[std::string(model::kMetricName)] = by_metric.size();
  for (const auto& [text, series] : by_pair) ++by_label[text.substr(0, text.find('='))];
  result.series_by_metric = largest(by_metric, rows);
  result.series_by_pair = largest(by_pair, rows);
  result.values_by_label = largest(by_label, rows);
  return result;
}

struct AnalyzeFlags {
  Output output;
  std::string dir;
};

void print_json(const Holdings& holdings, const Cardinality& cardinality) {
  json::array parts;
  for (const Part& part : holdings.parts) {
    parts.push_back(json::object{{"name", part.name},
                                 {"min_time_ms", part.min_ms},
                                 {"max_time_ms", part.max_ms},
                                 {"series", part.series},
                                 {"samples", part.samples},
                                 {"bytes", part.bytes}});
  }
  const auto rows = [](const Counts& counts) {
    json::array array;
    for (const auto& [name, value] : counts) array.push_back(json::object{{"name", name}, {"value", value}});
    return array;
  };
  fmt::print("{}\n", json::serialize(json::object{{"kind", holdings.kind},
                                                  {"parts", std::move(parts)},
                                                  {"series", cardinality.series},
                                                  {"series_by_metric", rows(cardinality.series_by_metric)},
                                                  {"series_by_label_pair", rows(cardinality.series_by_pair)},
                                                  {"values_by_label", rows(cardinality.values_by_label)}}));
}

void print_table(const Holdings& holdings, const Cardinality& cardinality) {
  fmt::print("{:<26}  {:<24}  {:<24}  {:>12}  {:>15}  {:>15}  {:>8}\n", "PART", "FROM", "TO", "SERIES", "SAMPLES",
             "BYTES", "B/SAMPLE");
  for (const Part& part : holdings.parts) {
    const bool any = part.samples > 0;
    const std::string ratio =
        any && part.bytes > 0
            ? fmt::format("{:.2f}", static_cast<double>(part.bytes) / static_cast<double>(part.samples))
            : "";
    fmt::print("{:<26}  {:<24}  {:<24}  {:>12}  {:>15}  {:>15}  {:>8}\n", part.name,
               any ? base::format_time(part.min_ms) : "", any ? base::format_time(part.max_ms) : "",
               grouped(part.series), grouped(part.samples), part.bytes > 0 ? grouped(part.bytes) : "", ratio);
  }
  fmt::print("\n{} series in all", grouped(cardinality.series));
  fmt::print("{}\n", holdings.kind == "quarterdeck" ? ", without what only the log holds yet" : "");
  const auto rows = [](const char* title, const Counts& counts) {
    if (counts.empty()) return;
    fmt::print("\n{}\n", title);
    for (const auto& [name, value] : counts) fmt::print("{:>12}  {}\n", grouped(value), name);
  };
  rows("SERIES OF A METRIC", cardinality.series_by_metric);
  rows("SERIES OF A LABEL PAIR", cardinality.series_by_pair);
  rows("VALUES OF A LABEL", cardinality.values_by_label);
}

int analyze(const AnalyzeFlags& flags) {
  constexpr std::size_t kRows = 10;
  base::PosixFiles files;
  Holdings holdings;
  if (const auto gathered = gather(files, flags.dir, holdings); !gathered) return failed(gathered.error());
  const auto cardinality = count(holdings, kRows);
  if (!cardinality) return failed(cardinality.error());
  if (flags.output.json()) {
    print_json(holdings, *cardinality);
  } else {
    print_table(holdings, *cardinality);
  }
  return kExitYes;
}

// --- verify ---

struct Verdict {
  std::vector<std::string> faults;
  std::vector<std::string> notes;
  std::uint64_t parts = 0;
};

class CheckedOnly final : public store::metrics::WalSink {
 public:
  void series(std::span<const store::metrics::LoggedSeries>) override {}
  void samples(const store::metrics::SampleBatch&) override {}
  void exemplars(std::span<const store::metrics::RefExemplar>) override {}
};

// A log, or a file of series, whose end may be torn where it is the last that is written to.
base::Status verify_log(base::Files& files, const std::filesystem::path& path, bool may_end_torn, Verdict& verdict) {
  const auto mapping = files.map(path);
  if (!mapping) {
    verdict.faults.push_back(mapping.error().message());
    return {};
  }
  ++verdict.parts;
  CheckedOnly sink;
  std::uint64_t records = 0;
  for (const auto& part : store::metrics::read_wal_segment((*mapping)->bytes(), sink, records)) {
    const bool torn = part.at_end && may_end_torn;
    (torn ? verdict.notes : verdict.faults)
        .push_back(fmt::format("{} at byte {}: {} bytes {}", path.native(), part.offset, part.bytes,
                               torn ? "at the end are no whole record, as after a crash or while a server writes"
                                    : "do not match their checksum"));
  }
  return {};
}

base::Status verify_ours(base::Files& files, const std::filesystem::path& dir, Verdict& verdict) {
  QD_ASSIGN(const auto manifest, read_manifest(files, dir));
  WorkProgress progress("Verifying");
  std::size_t done = 0;
  for (const std::uint64_t number : manifest.segments) {
    const auto part = static_cast<double>(done++) / static_cast<double>(manifest.segments.size());
    if (!progress.update({.part = part})) return base::fail(ErrorCode::kCancelled, "the check was stopped");
    const auto segment = Segment::open(files, store::metrics::numbered(dir / "segments", number, ".seg"));
    ++verdict.parts;
    if (!segment) {
      verdict.faults.push_back(segment.error().message());
    } else if (const auto whole = (*segment)->verify(); !whole) {
      verdict.faults.push_back(whole.error().message());
    }
  }
  for (const std::uint64_t number : manifest.tombstones) {
    const auto path = store::metrics::numbered(dir / "tombstones", number, ".tomb");
    const auto mapping = files.map(path);
    ++verdict.parts;
    if (!mapping) {
      verdict.faults.push_back(mapping.error().message());
    } else if (const auto read = store::metrics::decode_tombstone((*mapping)->bytes(), number, path); !read) {
      verdict.faults.push_back(read.error().message());
    }
  }
  for (const std::uint64_t number : manifest.chunk_files) {
    const auto path = store::metrics::numbered(dir / "head", number, ".chunks");
    const auto block = store::metrics::ChunkBlock::open(files, path, static_cast<std::uint32_t>(number));
    ++verdict.parts;
    if (!block) {
      verdict.faults.push_back(block.error().message());
      continue;
    }
    for (std::uint32_t i = 0; i < (*block)->count(); ++i) {
      if (const auto chunk = (*block)->chunk(i); !chunk) verdict.faults.push_back(chunk.error().message());
    }
  }
  for (const std::uint64_t number : manifest.series_files)
    QD_TRY(verify_log(files, store::metrics::numbered(dir / "head", number, ".series"), false, verdict));
  QD_ASSIGN(const auto log, store::metrics::list_numbered(files, dir / "wal", ".wal"));
  for (const std::uint64_t number : log) {
    if (number < manifest.log_first) continue;
    QD_TRY(verify_log(files, store::metrics::numbered(dir / "wal", number, ".wal"), true, verdict));
  }
  return {};
}

base::Status verify_prometheus(base::Files& files, const std::filesystem::path& dir, Verdict& verdict) {
  const prometheus::Warn warn = [&](const prometheus::Warning& warning) {
    (warning.harmless ? verdict.notes : verdict.faults).push_back(warning.what);
  };
  QD_ASSIGN(const auto directory, prometheus::Directory::open(files, dir, warn));
  const auto content = directory->content();
  WorkProgress progress("Verifying");
  std::size_t done = 0;
  for (const auto& block : content->blocks) {
    const auto part = static_cast<double>(done++) / static_cast<double>(content->blocks.size());
    if (!progress.update({.part = part})) return base::fail(ErrorCode::kCancelled, "the check was stopped");
    ++verdict.parts;
    block->verify([&](const base::Error& error) { verdict.faults.push_back(error.message()); });
    const auto next = content->blocks.begin() + static_cast<std::ptrdiff_t>(done);
    if (next != content->blocks.end() && (*next)->meta().min_ms < block->meta().end_ms) {
      verdict.notes.push_back(fmt::format("blocks {} and {} overlap: both are read, and Prometheus will merge them",
                                          block->meta().ulid, (*next)->meta().ulid));
    }
  }
  if (content->head) ++verdict.parts;
  return {};
}

int verify(const AnalyzeFlags& flags) {
  constexpr std::size_t kTold = 20;
  base::PosixFiles files;
  Verdict verdict;
  const auto ours = our_store(files, flags.dir);
  if (!ours) return failed(ours.error());
  const auto done = ours->empty() ? verify_prometheus(files, flags.dir, verdict) : verify_ours(files, *ours, verdict);
  if (!done) return failed(done.error());
  if (flags.output.json()) {
    json::array faults;
    for (const auto& fault : verdict.faults) faults.emplace_back(fault);
    json::array notes;
    for (const auto& note : verdict.notes) notes.emplace_back(note);
    fmt::print("{}\n", json::serialize(json::object{
                           {"parts", verdict.parts}, {"faults", std::move(faults)}, {"notes", std::move(notes)}}));
  } else {
    for (std::size_t i = 0; i < std::min(kTold, verdict.faults.size()); ++i) fmt::print("{}\n", verdict.faults[i]);
    if (verdict.faults.size() > kTold) fmt::print("and {} more\n", verdict.faults.size() - kTold);
    for (const auto& note : verdict.notes) fmt::print("note: {}\n", note);
    fmt::print("{} parts checked, {} faults\n", verdict.parts, verdict.faults.size());
  }
  return verdict.faults.empty() ? kExitYes : kExitNo;
}

void add_inspection(CommandLine& tsdb, const char* name, const char* help, const char* example,
                    int (*run)(const AnalyzeFlags&)) {
  auto command = tsdb.add_command(name, help, example);
  auto flags = std::make_shared<AnalyzeFlags>();
  flags->output.add_to(command);
  command.option("DIR", flags->dir, "a data directory of Quarterdeck or of Prometheus, or a folder of blocks",
                 {.required = true});
  command.action([flags, run] { return run(*flags); });
}

}  // namespace

void add_tsdb_inspection(CommandLine& tsdb) {
  add_inspection(tsdb, "analyze", "Show what a directory holds, and where its series come from",
                 "Example: quarterdeck tsdb analyze data", analyze);
  add_inspection(tsdb, "verify", "Read everything and check every checksum",
                 "Example: quarterdeck tsdb verify /var/lib/prometheus/metrics2", verify);
}

}  // namespace qd::cli
