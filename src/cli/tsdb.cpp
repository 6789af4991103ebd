// quarterdeck tsdb import and export: samples in and out of a data directory that no server works on.
#include "cli/tsdb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <random>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/strings.h"
#include "cli/data_dir.h"
#include "cli/settings.h"
#include "store/metrics/segment.h"
#include "store/prometheus/directory.h"
#include "store/prometheus/importer.h"

namespace qd::cli {

namespace {

namespace json = boost::json;
namespace prometheus = store::prometheus;
using model::TimestampMs;

// The store of a data directory, opened by this process alone.
struct OpenStore {
  std::unique_ptr<base::FileLock> lock;
  std::unique_ptr<store::metrics::Store> store;
  std::filesystem::path dir;  // <data>/metrics
};

base::Result<OpenStore> open_store(base::Files& files, const Settings& settings, base::Log& log,
                                   base::Registry& registry) {
  OpenStore open;
  const std::filesystem::path data_dir = settings.data_dir;
  QD_ASSIGN(open.lock, open_data_dir(files, data_dir));
  open.dir = data_dir / "metrics";
  QD_ASSIGN(open.store, store::metrics::Store::open(files, open.dir, settings.store, log, registry));
  return open;
}

// Everything that the store holds. What it says of its head is of what came since the last sealing.
base::Result<prometheus::Interval> reach_of(base::Files& files, const OpenStore& open) {
  const auto stats = open.store->stats();
  prometheus::Interval reach{.min_ms = model::kMaxTimestampMs, .max_ms = model::kMinTimestampMs};
  if (stats.head_samples > 0) reach = {.min_ms = stats.head_min_ms, .max_ms = stats.head_max_ms};
  reach.min_ms = std::min(reach.min_ms, stats.late_min_ms);
  reach.max_ms = std::max(reach.max_ms, stats.late_max_ms);
  QD_ASSIGN(const auto manifest, store::metrics::Manifest::read(files, open.dir / "MANIFEST"));
  if (!manifest) return reach;
  for (const std::uint64_t number : manifest->segments) {
    const auto segment =
        store::metrics::Segment::open(files, store::metrics::numbered(open.dir / "segments", number, ".seg"));
    if (!segment) continue;  // the store has told it when it was opened
    reach.min_ms = std::min(reach.min_ms, (*segment)->info().min_ms);
    reach.max_ms = std::max(reach.max_ms, (*segment)->info().max_ms);
  }
  return reach;
}

// --- import ---

struct ImportFlags {
  SettingFlags settings;
  Output output;
  std::string file;
};

base::Status import_into(base::Files& files, const std::string& name, prometheus::Importer& importer) {
  std::error_code ignored;
  const prometheus::Warn warn = [](const prometheus::Warning& warning) {
    fmt::print(stderr, "quarterdeck: {}\n", warning.what);
  };
  if (std::filesystem::is_directory(name, ignored)) {
    QD_ASSIGN(const auto source, prometheus::Directory::open(files, name, warn));
    WorkProgress progress("Importing");
    return importer.add(*source, source->reach(), progress.tick());
  }
  QD_ASSIGN(const auto mapping, files.map(name));
  WorkProgress progress("Importing");
  auto added = importer.add_openmetrics(base::as_text(mapping->bytes()), progress.tick());
  if (!added) return base::fail(added.error().within(name));
  return {};
}

int import(const ImportFlags& flags) {
  base::PosixFiles files;
  const auto settings = load_settings(flags.settings.invocation(), files);
  if (!settings) return failed(settings.error());
  const base::SystemClock clock;
  base::Log log(clock, STDERR_FILENO, base::LogFormat::kAuto, base::LogLevel::kWarn);
  base::Registry registry;
  auto open = open_store(files, **settings, log, registry);
  if (!open) return failed(open.error());
  // It has mended what a crash may have left; from here on its files are ours alone.
  open->store.reset();
  auto importer = prometheus::Importer::create(files, open->dir, (*settings)->store);
  if (!importer) return failed(importer.error());
  if (const auto added = import_into(files, flags.file, **importer); !added) return failed(added.error());
  const auto report = (*importer)->commit();
  if (!report) return failed(report.error());

  if (flags.output.json()) {
    fmt::print("{}\n", json::serialize(json::object{{"samples", report->samples},
                                                    {"segments", report->segments},
                                                    {"bytes", report->bytes},
                                                    {"min_time_ms", report->samples > 0 ? report->min_ms : 0},
                                                    {"max_time_ms", report->samples > 0 ? report->max_ms : 0}}));
  } else if (report->samples == 0) {
    fmt::print("{} holds no samples: nothing was imported\n", flags.file);
  } else {
    fmt::print("Imported {} samples from {} to {} into {} segments of {} bytes.\n", grouped(report->samples),
               base::format_time(report->min_ms), base::format_time(report->max_ms), grouped(report->segments),
               grouped(report->bytes));
  }
  const auto& options = (*settings)->store;
  if (options.retention_ms > 0 && report->samples > 0 && report->min_ms < clock.wall_ms() - options.retention_ms) {
    fmt::print(stderr,
               "quarterdeck: some of it is older than the retention of {}, and a server drops what is when it starts: "
               "raise store.metrics.retention before that\n",
               base::format_duration_ms(options.retention_ms));
  }
  return kExitYes;
}

// --- export ---

struct ExportFlags {
  SettingFlags settings;
  Output output;
  std::string format;
  std::string out;
  std::optional<std::string> from;
  std::optional<std::string> to;
  std::string block_duration = "2h";
};

base::Status cut_reach(const ExportFlags& flags, prometheus::Interval& reach) {
  if (flags.from) {
    QD_ASSIGN(const auto from_ms, base::parse_time_ms(*flags.from));
    reach.min_ms = std::max(reach.min_ms, from_ms);
  }
  if (flags.to) {
    QD_ASSIGN(const auto to_ms, base::parse_time_ms(*flags.to));
    reach.max_ms = std::min(reach.max_ms, to_ms);
  }
  return {};
}

base::Result<prometheus::ExportReport> export_from(base::Files& files, const ExportFlags& flags,
                                                   const Settings& settings, const OpenStore& open,
                                                   TimestampMs now_ms) {
  prometheus::ExportOptions options;
  options.now_ms = now_ms;
  QD_ASSIGN(options.block_ms, base::parse_duration_ms(flags.block_duration));
  QD_ASSIGN(options.reach, reach_of(files, open));
  QD_TRY(cut_reach(flags, options.reach));
  for (const model::Label& label : settings.observe.external_labels)
    options.external_labels.emplace(label.name, label.value);
  WorkProgress progress("Exporting");
  if (flags.format == "openmetrics")
    return prometheus::export_openmetrics(files, *open.store, flags.out, options, progress.tick());
  std::mt19937_64 random{std::random_device{}()};
  return prometheus::export_blocks(files, *open.store, flags.out, options, random, progress.tick());
}

int export_all(const ExportFlags& flags) {
  base::PosixFiles files;
  const auto settings = load_settings(flags.settings.invocation(), files);
  if (!settings) return failed(settings.error());
  const base::SystemClock clock;
  base::Log log(clock, STDERR_FILENO, base::LogFormat::kAuto, base::LogLevel::kWarn);
  base::Registry registry;
  const auto open = open_store(files, **settings, log, registry);
  if (!open) return failed(open.error());
  const auto report = export_from(files, flags, **settings, *open, clock.wall_ms());
  if (!report) return failed(report.error());

  const bool blocks = flags.format == "blocks";
  if (flags.output.json()) {
    json::array list;
    for (const auto& block : report->blocks) list.emplace_back(block.ulid);
    fmt::print("{}\n", json::serialize(json::object{{"samples", report->samples},
                                                    {"blocks", std::move(list)},
                                                    {"stale_markers_left_out", report->stale_markers},
                                                    {"histograms_left_out", report->histograms},
                                                    {"nameless_series_left_out", report->nameless}}));
  } else if (blocks) {
    fmt::print("Exported {} samples into {} blocks in {}.\n", grouped(report->samples), grouped(report->blocks.size()),
               flags.out);
  } else {
    fmt::print("Exported {} samples of {} series into {}.\n", grouped(report->samples), grouped(report->series),
               flags.out);
  }
  if (report->histograms + report->nameless > 0) {
    fmt::print(stderr,
               "quarterdeck: {} native histograms and {} series without a name were left out: OpenMetrics cannot say "
               "them; export blocks instead\n",
               grouped(report->histograms), grouped(report->nameless));
    return kExitNo;
  }
  return kExitYes;
}

void add_import(CommandLine& tsdb) {
  auto command = tsdb.add_command(
      "import", "Bring samples of any age into a data directory, while no server works on it",
      "Examples:\n"
      "  quarterdeck tsdb import --data-dir data backfill.om             a file of OpenMetrics\n"
      "  quarterdeck tsdb import --data-dir data /var/lib/prometheus/metrics2   all of a Prometheus, its log too");
  auto flags = std::make_shared<ImportFlags>();
  flags->settings.add_to(command);
  flags->output.add_to(command);
  command.option("FILE", flags->file, "OpenMetrics with times, a folder of blocks, or Prometheus's data directory",
                 {.required = true});
  command.action([flags] { return import(*flags); });
}

void add_export(CommandLine& tsdb) {
  auto command = tsdb.add_command(
      "export", "Write all samples of a data directory for others, while no server works on it",
      "Examples:\n"
      "  quarterdeck tsdb export --data-dir data --format blocks out/\n"
      "  quarterdeck tsdb export --data-dir data --format openmetrics --from 2026-01-02T00:00:00Z samples.om");
  auto flags = std::make_shared<ExportFlags>();
  flags->settings.add_to(command);
  flags->output.add_to(command);
  command.option("--format", flags->format, "blocks of Prometheus, or one file of OpenMetrics",
                 {.required = true, .one_of = {"blocks", "openmetrics"}});
  command.option("--from", flags->from, "nothing before this time", {.value_name = "TIME"});
  command.option("--to", flags->to, "nothing after this time", {.value_name = "TIME"});
  command.option("--block-duration", flags->block_duration, "how long a block is, a multiple of two hours",
                 {.shows_default = true, .value_name = "DURATION"});
  command.option("OUT", flags->out, "the folder that blocks go into, or the file", {.required = true});
  command.action([flags] { return export_all(*flags); });
}

}  // namespace

void add_tsdb(CommandLine& root) {
  auto tsdb = root.add_command("tsdb", "Move samples in and out, and look at what is on disk",
                               "Example: quarterdeck tsdb analyze data");
  add_import(tsdb);
  add_export(tsdb);
  add_tsdb_inspection(tsdb);
}

}  // namespace qd::cli
