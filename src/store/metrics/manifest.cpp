#include "store/metrics/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/strings.h"

namespace qd::store::metrics {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kManifestVersion = 2;
constexpr std::string_view kTitle = "quarterdeck-metrics-manifest";
constexpr std::size_t kFileBytesMax = 64 << 20;

template <typename T>
bool parse_number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string Manifest::print() const {
  std::string out = fmt::format("{} {}\ngeneration {}\nsealed_until_ms {}\nlog {}\nlate {}\n", kTitle, kManifestVersion,
                                generation, sealed_until_ms, log_first, late_first);
  for (const auto n : series_files) out += fmt::format("series {}\n", n);
  for (const auto n : chunk_files) out += fmt::format("chunks {}\n", n);
  for (const auto n : tombstones) out += fmt::format("tombstone {}\n", n);
  for (const auto n : segments) out += fmt::format("segment {}\n", n);
  out += fmt::format("crc {:08x}\n", base::crc32c(base::as_bytes(out)));
  return out;
}

base::Result<Manifest> Manifest::parse(const std::string& text, const std::filesystem::path& path) {
  const auto corrupt = [&](std::string_view what) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path.native(), what));
  };
  const std::vector<std::string_view> lines = base::split(text, '\n');
  Manifest manifest;
  std::uint64_t version = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return corrupt(fmt::format("line {} is not a name and a number", i + 1));
    const std::string_view name = line.substr(0, space);
    const std::string_view value = line.substr(space + 1);
    if (name == "crc") {
      std::uint32_t crc = 0;
      const auto covered = static_cast<std::size_t>(line.data() - text.data());
      if (!parse_number(value, crc, 16) || crc != base::crc32c(base::as_bytes(text).first(covered)))
        return corrupt("the checksum is wrong");
      return manifest;
    }
    std::uint64_t number = 0;
    const bool is_number =
        name == "sealed_until_ms" ? parse_number(value, manifest.sealed_until_ms) : parse_number(value, number);
    if (!is_number) return corrupt(fmt::format("line {} has no number", i + 1));
    if (i == 0) {
      version = number;
      if (name != kTitle) return corrupt("it is not a manifest");
      if (version > kManifestVersion) {
        return base::fail(ErrorCode::kInvalid,
                          fmt::format("{} has format {}, and this Quarterdeck reads up to {}: run the newer one that "
                                      "wrote it",
                                      path.native(), version, kManifestVersion));
      }
    } else if (name == "generation") {
      manifest.generation = number;
    } else if (name == "log") {
      manifest.log_first = number;
    } else if (name == "late") {
      manifest.late_first = number;
    } else if (name == "series") {
      manifest.series_files.push_back(number);
    } else if (name == "chunks") {
      manifest.chunk_files.push_back(number);
    } else if (name == "tombstone") {
      manifest.tombstones.push_back(number);
    } else if (name == "segment") {
      manifest.segments.push_back(number);
    } else if (name != "sealed_until_ms") {
      return corrupt(fmt::format("line {} says {}, which means nothing", i + 1, name));
    }
  }
  return corrupt("it ends before its checksum");
}

base::Result<std::optional<Manifest>> Manifest::read(base::Files& files, const std::filesystem::path& path) {
  QD_ASSIGN(const bool there, files.exists(path));
  if (!there) return std::nullopt;
  QD_ASSIGN(const std::string text, base::read_file(files, path, kFileBytesMax));
  QD_ASSIGN(Manifest manifest, parse(text, path));
  return manifest;
}

base::Status Manifest::write(base::Files& files, const std::filesystem::path& path) const {
  return base::write_file_atomically(files, path, print());
}

base::Result<std::vector<std::uint64_t>> list_numbered(base::Files& files, const std::filesystem::path& dir,
                                                       std::string_view suffix) {
  QD_ASSIGN(const std::vector<std::string> names, files.list(dir));
  std::vector<std::uint64_t> numbers;
  for (const std::string_view name : names) {
    std::uint64_t number = 0;
    if (name.ends_with(suffix) && parse_number(name.substr(0, name.size() - suffix.size()), number))
      numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::filesystem::path numbered(const std::filesystem::path& dir, std::uint64_t number, std::string_view suffix) {
  return dir / fmt::format("{:08}{}", number, suffix);
}

}  // namespace qd::store::metrics
