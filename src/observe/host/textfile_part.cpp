// The part that tells what other programs left in files: observe/host/textfile.h says what such a file may hold.

#include <dirent.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "observe/host/host.h"
#include "observe/host/listing.h"
#include "observe/host/parts.h"
#include "observe/host/textfile.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class TextfilePart final : public Part {
 public:
  TextfilePart(FileReader& reader, std::vector<std::string> directories, base::Log& log)
      : reader_(reader), patterns_(std::move(directories)), log_(log) {}
  std::string_view name() const override { return "textfile"; }

  Outcome collect(const Pass& pass) override {
    failed_ = false;
    changed_ = find_files() || changed_;
    for (auto& [path, file] : files_) {
      if (pass.late()) return Outcome::failed(ETIMEDOUT, "the pass's deadline");
      changed_ = refresh(path, file) || changed_;
    }
    if (std::exchange(changed_, false)) merge();
    tell(pass);
    return {};
  }

 private:
  struct Version {
    std::int64_t written_ns = 0;
    std::int64_t changed_ns = 0;  // its rights too
    std::int64_t bytes = 0;
    std::uint64_t inode = 0;
    bool operator==(const Version&) const = default;
  };
  struct File {
    std::optional<Version> version;  // that families are of; nothing while it cannot be read
    int error = 0;                   // why it cannot, as was said
    TextFamilies families;
    bool good = false;    // it was read
    bool usable = false;  // and fits the files before it
    bool seen = false;    // by this pass
  };
  struct Merged {
    std::string_view name;
    model::MetricType type;
    std::string help;
    std::vector<const TextSample*> samples;
    bool refused = false;  // another part tells a family of that name
  };

  void complain(std::string_view path, std::string_view problem) {
    log_.warn("a file of metrics is left out", {{"file", path}, {"problem", problem}});
  }

  // True when a file went away. Files are kept in the order of their paths.
  bool find_files() {
    for (auto& [path, file] : files_) file.seen = false;
    const bool too_many_before = std::exchange(too_many_, false);
    for (const std::string& pattern : patterns_) {
      glob_t found{};
      const int status = ::glob(pattern.c_str(), GLOB_NOCHECK, nullptr, &found);
      for (std::size_t i = 0; status == 0 && i < found.gl_pathc; ++i) list(found.gl_pathv[i]);
      ::globfree(&found);
    }
    if (too_many_ && !too_many_before) {
      log_.warn("files of metrics are left out: the directories of observe.host.textfile hold too many",
                {{"limit", kTextfilesMax}});
    }
    return std::erase_if(files_, [](const auto& entry) { return !entry.second.seen; }) > 0;
  }

  void list(const char* directory) {
    DIR* dir = ::opendir(directory);
    if (dir == nullptr) {
      failed_ = true;
      const std::string why = std::error_code(errno, std::generic_category()).message();
      if (unreadable_.insert(directory).second) {
        log_.warn("a directory of observe.host.textfile.directories cannot be read",
                  {{"directory", std::string_view(directory)}, {"error", why}});
      }
      return;
    }
    unreadable_.erase(directory);
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (!name.ends_with(".prom")) continue;
      path_ = directory;
      if (!path_.ends_with('/')) path_ += '/';
      path_ += name;
      const auto known = files_.find(path_);
      if (known != files_.end()) {
        known->second.seen = true;
      } else if (files_.size() < kTextfilesMax) {
        files_[path_].seen = true;
      } else {
        too_many_ = failed_ = true;
      }
    }
    ::closedir(dir);
  }

  static std::int64_t ns(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

  // What keeps a file from being read may pass without a change of the file: it is said once, and tried again. True
  // when something is lost thereby.
  bool cannot_be_read(const std::string& path, File& file, int error) {
    if (std::exchange(file.error, error) != error) {
      complain(path, std::error_code(error, std::generic_category()).message());
    }
    file.version.reset();
    file.families.clear();
    return std::exchange(file.good, false);
  }

  // True when what is known of the file changed.
  bool refresh(const std::string& path, File& file) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return cannot_be_read(path, file, errno);
    const Version version{ns(status.st_mtim), ns(status.st_ctim), status.st_size, status.st_ino};
    if (version == file.version) return false;
    const bool fits = S_ISREG(status.st_mode) && version.bytes <= static_cast<std::int64_t>(kTextfileBytesMax);
    const auto text = fits ? reader_.read_once(path.c_str()) : std::string_view();
    if (!text) return cannot_be_read(path, file, text.error());
    file.version = version;
    file.error = 0;
    file.families.clear();
    file.good = false;
    if (!S_ISREG(status.st_mode)) {
      complain(path, "it is no regular file");
    } else if (version.bytes > static_cast<std::int64_t>(kTextfileBytesMax)) {
      complain(path, fmt::format("it has more than {} bytes", kTextfileBytesMax));
    } else if (auto families = read_textfile(*text); !families) {
      complain(path, families.error().message());
    } else {
      file.families = std::move(*families);
      file.good = true;
    }
    return true;
  }

  // Puts the families of all files together, by name.
  void merge() {
    struct Gathered {
      model::MetricType type;
      std::string help;
      std::vector<std::string_view> paths;
      std::vector<const TextSample*> samples;
    };
    std::map<std::string_view, Gathered> gathered;
    std::set<std::pair<std::string_view, std::vector<std::pair<std::string, std::string>>>> series;
    for (auto& [path, file] : files_) {
      file.usable = file.good && fits(path, file, gathered, series);
      if (!file.usable) continue;
      for (const auto& [name, family] : file.families) {
        Gathered& all = gathered.try_emplace(name, Gathered{family.type, {}, {}, {}}).first->second;
        if (all.help.empty()) all.help = family.help;
        all.paths.push_back(path);
        for (const TextSample& sample : family.samples) {
          all.samples.push_back(&sample);
          series.emplace(name, with_suffix(sample));
        }
      }
    }
    merged_.clear();
    for (auto& [name, all] : gathered) {
      if (all.help.empty()) all.help = fmt::format("Metric read from {}", base::join(all.paths, ", "));
      make_utf8(all.help);
      merged_.push_back({name, all.type, std::move(all.help), std::move(all.samples)});
    }
  }

  static std::vector<std::pair<std::string, std::string>> with_suffix(const TextSample& sample) {
    auto labels = sample.labels;
    labels.emplace_back("", sample.suffix);
    return labels;
  }

  template <typename Gathered, typename Series>
  bool fits(const std::string& path, const File& file, const Gathered& gathered, const Series& series) {
    for (const auto& [name, family] : file.families) {
      const auto found = gathered.find(name);
      if (found == gathered.end()) continue;
      if (found->second.type != family.type) {
        complain(path, fmt::format("{} is of another type than in {}", name, found->second.paths.front()));
        return false;
      }
      for (const TextSample& sample : family.samples) {
        if (!series.contains({name, with_suffix(sample)})) continue;
        complain(path, fmt::format("it tells a series of {} that is in {} as well", name, found->second.paths.front()));
        return false;
      }
    }
    return true;
  }

  void tell(const Pass& pass) {
    for (Merged& family : merged_) {
      const bool refused = family.name.starts_with("node_textfile_") ||
                           family.name.starts_with("node_scrape_collector_") ||
                           (pass.told != nullptr && pass.told->has(family.name));
      if (refused && !family.refused) {
        complain(family.name, "the host collector has metrics of that name; give them another");
      }
      family.refused = refused;
      failed_ = failed_ || refused;
      if (refused) continue;
      pass.sink.family(family.name, family.type, family.help);
      for (const TextSample* sample : family.samples) {
        labels_.clear();
        for (const auto& [name, value] : sample->labels) labels_.push_back({name, value});
        pass.sink.sample(sample->suffix, labels_, sample->value);
      }
    }
    bool begun = false;
    for (auto& [path, file] : files_) {
      failed_ = failed_ || !file.usable;
      if (!file.usable) continue;
      if (!begun) {
        pass.sink.family("node_textfile_mtime_seconds", kGauge, "Unixtime mtime of textfiles successfully read.");
      }
      begun = true;
      path_ = path;
      make_utf8(path_);
      pass.sink.sample({{"file", path_}}, static_cast<double>(file.version->written_ns) / 1e9);
    }
    pass.sink.family("node_textfile_scrape_error", kGauge,
                     "1 if there was an error opening or reading a file, 0 otherwise");
    pass.sink.sample(failed_ ? 1 : 0);
  }

  FileReader& reader_;
  std::vector<std::string> patterns_;
  base::Log& log_;
  std::map<std::string, File, std::less<>> files_;  // by path
  std::set<std::string> unreadable_;
  std::vector<Merged> merged_;
  std::vector<model::Label> labels_;
  std::string path_;
  bool changed_ = false;  // since the last merge(), whose samples may be gone by it
  bool failed_ = false;
  bool too_many_ = false;  // files, for the last pass
};

}  // namespace

std::unique_ptr<Part> textfile_part(const PartContext& context) {
  return std::make_unique<TextfilePart>(context.reader, context.options.textfile_directories, context.log);
}

}  // namespace qd::observe::host
