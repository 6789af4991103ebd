// What the machine is: its name and kernel (uname(2)), its operating system (os-release(5)).

#include <sys/stat.h>
#include <sys/utsname.h>

#include <array>

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class UnamePart final : public Part {
 public:
  std::string_view name() const override { return "uname"; }

  Outcome collect(const Pass& pass) override {
    struct utsname name{};
    if (::uname(&name) != 0) return Outcome::failed(errno, "uname");
    pass.sink.family("node_uname_info", kGauge, "Labeled system information as provided by the uname system call.");
    pass.sink.sample({{"sysname", name.sysname},
                      {"release", name.release},
                      {"version", name.version},
                      {"machine", name.machine},
                      {"nodename", name.nodename},
                      {"domainname", name.domainname}},
                     1);
    return {};
  }
};

class OsPart final : public Part {
 public:
  OsPart(FileReader& reader, const Roots& roots) {
    for (const char* path : {"/etc/os-release", "/usr/lib/os-release"})
      files_.emplace_back(reader, roots.rootfs + path);
  }
  std::string_view name() const override { return "os"; }

  Outcome collect(const Pass& pass) override {
    if (const Outcome outcome = refresh(); !outcome.ok) return outcome;
    pass.sink.family("node_os_info", kGauge,
                     "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, "
                     "name, pretty_name, variant, variant_id, version, version_codename, version_id.");
    pass.sink.sample(std::span<const model::Label>(labels_), 1);
    if (version_) {
      pass.sink.family("node_os_version", kGauge, "Metric containing the major.minor part of the OS version.");
      pass.sink.sample({{"id", values_[kId]}, {"id_like", values_[kIdLike]}, {"name", values_[kName]}}, *version_);
    }
    return {};
  }

 private:
  static constexpr std::array<std::string_view, 12> kKeys = {
      "BUILD_ID",    "ID",      "ID_LIKE",    "IMAGE_ID", "IMAGE_VERSION",    "NAME",
      "PRETTY_NAME", "VARIANT", "VARIANT_ID", "VERSION",  "VERSION_CODENAME", "VERSION_ID"};
  static constexpr std::array<std::string_view, 12> kLabels = {
      "build_id",    "id",      "id_like",    "image_id", "image_version",    "name",
      "pretty_name", "variant", "variant_id", "version",  "version_codename", "version_id"};
  static constexpr std::size_t kId = 1, kIdLike = 2, kName = 5, kVersionId = 11;

  Outcome refresh() {
    struct stat status{};
    std::size_t which = 0;
    while (which < files_.size() && ::stat(files_[which].path().c_str(), &status) != 0) ++which;
    if (which == files_.size()) return Outcome::failed(errno, files_[0].path());
    const std::int64_t changed_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
    if (which == seen_file_ && changed_ns == seen_changed_ns_) return {};
    const auto text = files_[which].read();
    if (!text) return Outcome::failed(text.error(), files_[which].path());
    seen_file_ = which;
    seen_changed_ns_ = changed_ns;
    parse(*text);
    return {};
  }

  void parse(std::string_view text) {
    for (std::string& value : values_) value.clear();
    Scanner lines(text);
    while (!lines.at_end()) {
      const std::string_view line = lines.line();
      const auto equals = line.find('=');
      if (equals == std::string_view::npos) continue;
      for (std::size_t i = 0; i < kKeys.size(); ++i) {
        if (kKeys[i] == line.substr(0, equals)) values_[i] = unquoted(line.substr(equals + 1));
      }
    }
    for (std::size_t i = 0; i < kLabels.size(); ++i) labels_[i] = {kLabels[i], values_[i]};
    version_ = leading_number(values_[kVersionId]);
  }

  // As a shell would read it.
  static std::string unquoted(std::string_view value) {
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t' || value.back() == '\r'))
      value.remove_suffix(1);
    const bool quoted =
        value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
    const bool literal = quoted && value.front() == '\'';
    if (quoted) value = value.substr(1, value.size() - 2);
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '\\' && !literal && i + 1 < value.size()) ++i;
      out += value[i];
    }
    make_utf8(out);
    return out;
  }

  // "22.04.1" is 22.04; "rolling" is nothing.
  static std::optional<double> leading_number(std::string_view version) {
    std::size_t end = version.find_first_not_of("0123456789");
    if (end == 0 || version.empty()) return std::nullopt;
    if (end != std::string_view::npos && version[end] == '.') end = version.find_first_not_of("0123456789", end + 1);
    std::string_view number = version.substr(0, end);
    if (number.ends_with('.')) number.remove_suffix(1);
    return real(number);
  }

  std::vector<KeptFile> files_;
  std::size_t seen_file_ = SIZE_MAX;
  std::int64_t seen_changed_ns_ = 0;
  std::array<std::string, kKeys.size()> values_;
  std::array<model::Label, kKeys.size()> labels_;
  std::optional<double> version_;
};

}  // namespace

std::unique_ptr<Part> uname_part() {
  return std::make_unique<UnamePart>();
}

std::unique_ptr<Part> os_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<OsPart>(reader, roots);
}

}  // namespace qd::observe::host
