#include "observe/containers/containers.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "observe/containers/cgroup.h"
#include "observe/containers/hierarchies.h"
#include "observe/containers/machine.h"
#include "observe/containers/tell.h"
#include "observe/containers/walk.h"

namespace qd::observe::containers {
namespace {

std::string without_slash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

// An open file of cgroupfs costs the kernel about 4 KB, and opening it anew five times what reading it does.
std::size_t descriptors_to_keep() {
  constexpr std::size_t kMost = 4'096;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return FileReader::kKeptDescriptorsMax;
  return limit.rlim_cur == RLIM_INFINITY ? kMost : std::min<std::size_t>(kMost, limit.rlim_cur / 4);
}

// Calls that counting open files may take in one pass, over all cgroups; the next pass goes on from there. What is not
// used is saved up for what takes many, and at first there is enough for a few hundred containers at once.
constexpr std::int64_t kOpenFilesCallsPerPass = 400;
constexpr std::int64_t kOpenFilesCallsMax = 4'000;

}  // namespace

class ContainersCollector::Machinery {
 public:
  Machinery(const Options& options, std::function<ContainerList()> containers, const base::Clock& clock)
      : roots_{without_slash(options.procfs), without_slash(options.sysfs), without_slash(options.rootfs)},
        choice_(options),
        limit_(static_cast<std::size_t>(std::max<std::int64_t>(1, options.limit))),
        list_(std::move(containers)),
        clock_(clock),
        reader_(descriptors_to_keep()),
        machine_(reader_, roots_),
        open_files_(roots_.procfs) {}

  std::optional<base::Error> pass(std::int64_t deadline_ns, Sink& sink) {
    machine_.refresh(clock_.monotonic_ns());
    std::optional<base::Error> trouble = read(deadline_ns);
    teller_.tell(told_, machine_, sink);
    const FamilyInfo& error = info(Family::kContainerScrapeError);
    sink.family(error.name, error.type, error.help);
    sink.sample(trouble && incomplete_ ? 1 : 0);
    machine_.tell(sink);
    return trouble;
  }

 private:
  std::optional<base::Error> read(std::int64_t deadline_ns) {
    told_.clear();
    incomplete_ = true;
    if (!hierarchies_) {
      auto found = find_hierarchies(reader_, roots_);
      if (!found) return found.error();
      hierarchies_ = std::move(*found);
    }
    if (const int error = walk_.refresh(hierarchies_->walked); error != 0) {
      const std::string where = hierarchies_->walked.front();
      hierarchies_.reset();
      cgroups_.clear();
      seen_changes_ = 0;
      return base::errno_error(error, "reading the control groups in " + where);
    }
    Reading reading{
        *hierarchies_, roots_, machine_, clock_.monotonic_ns(), static_cast<double>(clock_.wall_ms()) / 1000, {}};
    match_cgroups(reading);
    match_containers();
    std::size_t late = 0;
    for (const auto& cgroup : cgroups_) {
      if (clock_.monotonic_ns() >= deadline_ns) {
        ++late;
        continue;
      }
      if (cgroup->read(reading)) told_.push_back(cgroup.get());
    }
    if (late == 0) count_open_files();
    return judge(reading, late);
  }

  std::optional<base::Error> judge(const Reading& reading, std::size_t late) {
    using enum base::ErrorCode;
    if (!reading.denied.empty())
      return base::Error(kPermission, fmt::format("{0} may not be read: run Quarterdeck as a user that may, or let it "
                                                  "(chmod a+r, or AmbientCapabilities=CAP_DAC_READ_SEARCH)",
                                                  reading.denied));
    if (late > 0)
      return base::Error(kTimeout,
                         fmt::format("{} of {} control groups were not read within the pass's deadline: raise "
                                     "the interval, or lower observe.containers.limit",
                                     late, cgroups_.size()));
    if (left_out_ > 0)
      return base::Error(kLimit, fmt::format("{} control groups are measured and {} are left out, services before "
                                             "containers: raise observe.containers.limit ({})",
                                             cgroups_.size(), left_out_, limit_));
    incomplete_ = false;
    return open_files_trouble();
  }

  std::optional<base::Error> open_files_trouble() const {
    if (!open_files_denied_) return std::nullopt;
    return base::Error(base::ErrorCode::kPermission,
                       "container_file_descriptors and container_sockets are not told of other users' processes: run "
                       "Quarterdeck with AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH, or as root");
  }

  // Makes cgroups_ those that the walk found, in its order, keeping what is known of each.
  void match_cgroups(const Reading& reading) {
    if (walk_.changes() == seen_changes_) return;
    seen_changes_ = walk_.changes();
    const std::vector<const Listed*> wanted = within_limit();
    std::vector<std::unique_ptr<Cgroup>> matched;
    matched.reserve(wanted.size());
    auto known = cgroups_.begin();
    for (const Listed* listed : wanted) {
      while (known != cgroups_.end() && (*known)->path() < listed->path) ++known;
      if (known != cgroups_.end() && (*known)->path() == listed->path && (*known)->inode() == listed->inode) {
        matched.push_back(std::move(*known++));
      } else {
        matched.push_back(std::make_unique<Cgroup>(reader_, reading, std::string(listed->path), listed->inode));
        containers_matched_ = false;
      }
    }
    cgroups_ = std::move(matched);
    told_.reserve(cgroups_.size());
  }

  // The root and what stands directly below it, then containers, then the rest, what is higher first; in order of
  // paths.
  std::vector<const Listed*> within_limit() {
    std::vector<const Listed*> wanted;
    for (const Listed& listed : walk_.listed()) wanted.push_back(&listed);
    left_out_ = wanted.size() > limit_ ? wanted.size() - limit_ : 0;
    if (left_out_ == 0) return wanted;
    const auto rank = [](const Listed* listed) {
      if (listed->depth <= 1 && container_id(listed->path).empty()) return std::uint32_t{0};
      return container_id(listed->path).empty() ? 1 + listed->depth : std::uint32_t{1};
    };
    std::ranges::stable_sort(wanted, {}, rank);
    wanted.resize(limit_);
    std::ranges::sort(wanted, {}, [](const Listed* listed) { return listed->path; });
    return wanted;
  }

  void match_containers() {
    ContainerList containers = list_ ? list_() : nullptr;
    if (containers_matched_ && containers == containers_) return;
    for (const auto& cgroup : cgroups_) cgroup->set_container(find_container(containers, cgroup->id()), choice_);
    containers_ = std::move(containers);
    containers_matched_ = true;
  }

  void count_open_files() {
    for (std::size_t i = 0; i < cgroups_.size() && open_files_calls_ > 0; ++i) {
      if (next_open_files_ >= cgroups_.size()) {
        next_open_files_ = 0;
        open_files_denied_ = std::exchange(denied_this_round_, false);
      }
      open_files_calls_ -= static_cast<std::int64_t>(cgroups_[next_open_files_++]->count_open_files(open_files_));
      denied_this_round_ = denied_this_round_ || open_files_.denied();
    }
    open_files_calls_ = std::min(open_files_calls_ + kOpenFilesCallsPerPass, kOpenFilesCallsMax);
  }

  Roots roots_;
  LabelChoice choice_;
  std::size_t limit_;
  std::function<ContainerList()> list_;
  const base::Clock& clock_;
  FileReader reader_;
  Machine machine_;
  OpenFiles open_files_;
  Teller teller_;
  std::optional<Hierarchies> hierarchies_;
  Walk walk_;
  std::uint64_t seen_changes_ = 0;
  std::vector<std::unique_ptr<Cgroup>> cgroups_;  // by path
  std::vector<const Cgroup*> told_;               // those that this pass could read
  std::size_t left_out_ = 0;
  ContainerList containers_;
  bool containers_matched_ = false;
  bool incomplete_ = false;
  std::size_t next_open_files_ = 0;
  std::int64_t open_files_calls_ = kOpenFilesCallsMax;
  bool denied_this_round_ = false;
  bool open_files_denied_ = false;
};

ContainersCollector::ContainersCollector(const Options& options, std::function<ContainerList()> containers,
                                         const base::Clock& clock)
    : machinery_(std::make_unique<Machinery>(options, std::move(containers), clock)) {}

ContainersCollector::~ContainersCollector() = default;

base::Status ContainersCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  trouble_ = machinery_->pass(deadline_ns, sink);
  return {};
}

}  // namespace qd::observe::containers
