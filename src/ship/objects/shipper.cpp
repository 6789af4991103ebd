#include "ship/objects/shipper.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/strings.h"
#include "store/metrics/merge_plan.h"
#include "store/prometheus/exporter.h"

namespace qd::ship::objects {

namespace {

using base::ErrorCode;
using model::TimestampMs;
using store::prometheus::kBlockMs;

constexpr std::string_view kShippedName = "shipped";
constexpr std::size_t kShippedBytesMax = 100;

// So that a block that is made again has the same name.
std::mt19937_64 chance_of(const std::map<std::string, std::string>& labels, TimestampMs begin_ms) {
  std::string text = fmt::to_string(begin_ms);
  for (const auto& [name, value] : labels) text += fmt::format("\n{}={}", name, value);
  std::vector<std::uint32_t> words;
  const std::string hash = sha256_hex(text);
  for (std::size_t i = 0; i < hash.size(); i += 8) {
    std::uint32_t word = 0;
    std::from_chars(hash.data() + i, hash.data() + i + 8, word, 16);
    words.push_back(word);
  }
  std::seed_seq seed(words.begin(), words.end());
  return std::mt19937_64(seed);
}

}  // namespace

Shipper::Shipper(base::Files& files, const store::metrics::Querier& querier, std::filesystem::path dir,
                 const ObjectSettings& settings, std::map<std::string, std::string> external_labels,
                 Surroundings surroundings, base::Log& log, base::Registry& registry)
    : files_(files),
      querier_(querier),
      dir_(std::move(dir)),
      external_labels_(std::move(external_labels)),
      surroundings_(surroundings),
      uploader_(files, settings, std::move(surroundings)),
      log_(log),
      blocks_(registry.counter("quarterdeck_objects_blocks_total", "Blocks that were uploaded to the object store.")),
      bytes_(registry.counter("quarterdeck_objects_sent_bytes_total", "Bytes sent to the object store.")),
      failures_(registry.counter("quarterdeck_objects_failures_total",
                                 "Uploads to the object store that failed and will be tried again.")),
      until_(registry.gauge("quarterdeck_objects_shipped_until_seconds",
                            "Samples before this time are in the object store.")) {}

base::Result<std::unique_ptr<Shipper>> Shipper::open(base::Files& files, const store::metrics::Querier& querier,
                                                     const std::filesystem::path& dir, const ObjectSettings& settings,
                                                     std::map<std::string, std::string> external_labels,
                                                     TimestampMs since_ms, Surroundings surroundings, base::Log& log,
                                                     base::Registry& registry) {
  if (external_labels.empty()) {
    return base::fail(ErrorCode::kInvalid,
                      "ship.objects needs observe.external_labels, by which Thanos tells the blocks of several apart: "
                      "set one, such as {host: deck-1}");
  }
  std::unique_ptr<Shipper> shipper(
      new Shipper(files, querier, dir, settings, std::move(external_labels), std::move(surroundings), log, registry));
  QD_TRY(files.create_directories(dir));
  QD_ASSIGN(const std::vector<std::string> names, files.list(dir));
  for (const std::string& name : names) {
    if (name != kShippedName) QD_TRY(files.remove(dir / name));
  }
  shipper->until_ms_ = store::metrics::window_start(std::max<TimestampMs>(0, since_ms), kBlockMs);
  if (std::ranges::find(names, kShippedName) != names.end()) {
    QD_ASSIGN(const std::string text, base::read_file(files, dir / kShippedName, kShippedBytesMax));
    const auto digits = base::trim(text);
    TimestampMs until_ms = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), until_ms);
    if (parsed.ec != std::errc() || until_ms < 0 || until_ms % kBlockMs != 0) {
      return base::fail(
          ErrorCode::kCorrupt,
          fmt::format("{} holds no time up to which samples are in the object store: remove the file, and "
                      "what is there is uploaded again",
                      (dir / kShippedName).native()));
    }
    shipper->until_ms_ = until_ms;
  }
  return shipper;
}

base::Status Shipper::run(TimestampMs now_ms) {
  while (until_ms_ + kBlockMs + kSettledMs <= now_ms) {
    if (base::Status shipped = ship(until_ms_); !shipped) {
      failures_.add();
      return base::fail(shipped.error().within(fmt::format("uploading what is from {}", base::format_time(until_ms_))));
    }
    const TimestampMs next = until_ms_ + kBlockMs;
    QD_TRY(base::write_file_atomically(files_, dir_ / kShippedName, fmt::format("{}\n", next)));
    until_ms_ = next;
    until_.set(static_cast<double>(until_ms_) / 1e3);
  }
  return {};
}

base::Status Shipper::ship(TimestampMs begin_ms) {
  store::prometheus::ExportOptions options;
  options.reach = {.min_ms = begin_ms, .max_ms = begin_ms + kBlockMs - 1};
  options.now_ms = begin_ms + kBlockMs;
  options.external_labels = external_labels_;
  auto random = chance_of(external_labels_, begin_ms);
  const auto staging = dir_ / "staging";
  QD_TRY(files_.remove(staging));
  QD_ASSIGN(const auto report,
            store::prometheus::export_blocks(files_, querier_, staging, options, random,
                                             [this](const auto&) { return surroundings_.wait_ms(0); }));
  for (const auto& block : report.blocks) {
    const std::uint64_t before = uploader_.bytes_sent();
    base::Status uploaded = upload(block.ulid);
    bytes_.add(uploader_.bytes_sent() - before);
    QD_TRY(std::move(uploaded));
    blocks_.add();
    log_.info("a block is in the object store",
              {{"block", block.ulid}, {"from", base::format_time(block.min_ms)}, {"samples", block.samples}});
  }
  return files_.remove(staging);
}

base::Status Shipper::upload(const std::string& ulid) {
  const auto block = dir_ / "staging" / ulid;
  QD_ASSIGN(const auto chunk_names, files_.list(block / "chunks"));
  std::vector<std::string> names;
  names.reserve(chunk_names.size() + 1);
  for (const std::string& name : chunk_names) names.push_back("chunks/" + name);
  names.emplace_back("index");
  const auto put = [&](const std::string& name) -> base::Status {
    const std::string key = fmt::format("{}/{}", ulid, name);
    QD_TRY(uploader_.put(block / name, key));
    QD_ASSIGN(const auto file, files_.open_read(block / name));
    QD_ASSIGN(const std::uint64_t size, file->size());
    return uploader_.check(key, size);
  };
  for (const std::string& name : names) QD_TRY(put(name));
  // A block without it is one that is still on its way.
  return put(std::string(store::prometheus::kMetaName));
}

}  // namespace qd::ship::objects
