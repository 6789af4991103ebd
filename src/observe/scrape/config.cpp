#include "observe/scrape/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <set>
#include <utility>

#include "base/glob.h"
#include "model/config/node.h"
#include "observe/scrape/config_http.h"
#include "observe/scrape/config_reader.h"
#include "observe/scrape/config_sd.h"
#include "observe/scrape/config_sections.h"

namespace qd::observe::scrape {

using base::ErrorCode;
using model::config::Node;

namespace {

namespace fs = std::filesystem;
using Keys = Reader::Keys;

// Files that one pattern of scrape_config_files may name.
constexpr std::size_t kScrapeFilesMax = 1'000;

constexpr std::array<std::pair<ScrapeProtocol, std::string_view>, 5> kProtocols = {{
    {ScrapeProtocol::kPrometheusProto, "PrometheusProto"},
    {ScrapeProtocol::kOpenMetricsText1_0_0, "OpenMetricsText1.0.0"},
    {ScrapeProtocol::kOpenMetricsText0_0_1, "OpenMetricsText0.0.1"},
    {ScrapeProtocol::kPrometheusText1_0_0, "PrometheusText1.0.0"},
    {ScrapeProtocol::kPrometheusText0_0_4, "PrometheusText0.0.4"},
}};
constexpr std::array<std::pair<NameEscaping, std::string_view>, 4> kEscapings = {{
    {NameEscaping::kAllowUtf8, "allow-utf-8"},
    {NameEscaping::kUnderscores, "underscores"},
    {NameEscaping::kDots, "dots"},
    {NameEscaping::kValues, "values"},
}};

base::Result<std::string> read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(model::config::kYamlBytesMax + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  std::error_code ignored;
  if (!in.is_open() || in.bad() || fs::is_directory(file, ignored)) {
    return base::fail(ErrorCode::kNotFound, "reading " + file.string() + " failed; is it there and readable?");
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

std::vector<std::string> matching(const std::string& pattern) {
  return base::files_like(pattern, kScrapeFilesMax).value_or(std::vector<std::string>{});
}

// Reads one file: the main one, or one of scrape_config_files.
class FileReader {
 public:
  FileReader(const fs::path& file, PrometheusFile& out) : reader_(file), out_(out) {}

  void read_main(const Node& root) {
    const Node* global = nullptr;
    const Node* jobs = nullptr;
    std::vector<std::string> patterns;
    // Sections take their defaults from global, wherever it stands.
    std::vector<std::pair<const Node*, void (FileReader::*)(const Node&)>> sections;
    const auto later = [&](void (FileReader::*read)(const Node&)) -> Reader::Take {
      return [&sections, read](const Node& n) { sections.emplace_back(&n, read); };
    };
    reader_.mapping(root, "the Prometheus file",
                    {{"global", [&](const Node& n) { global = &n; }},
                     {"runtime", later(&FileReader::runtime)},
                     {"rule_files", reader_.paths("rule_files", out_.rule_files)},
                     {"scrape_configs", [&](const Node& n) { jobs = &n; }},
                     {"scrape_config_files", reader_.paths("scrape_config_files", patterns)},
                     {"alerting", later(&FileReader::alerting)},
                     {"remote_write", later(&FileReader::remote_write)},
                     {"remote_read", later(&FileReader::remote_read)},
                     {"storage", later(&FileReader::storage)},
                     {"tracing", later(&FileReader::tracing)},
                     {"otlp", later(&FileReader::otlp)}});
    read_global(global, out_.global);
    for (const auto& [node, read] : sections) (this->*read)(*node);
    if (jobs != nullptr) read_jobs(*jobs);
    for (const std::string& pattern : patterns) {
      out_.files.push_back(pattern);
      for (const std::string& name : matching(pattern)) read_other(name);
    }
    out_.warnings = reader_.take_warnings();
  }

  base::Status result() const { return reader_.result(); }

 private:
  void alerting(const Node& n) { read_alerting(reader_, n, out_.global, out_.alerting); }
  void remote_write(const Node& n) { read_remote_write(reader_, n, out_.global, out_.remote_write); }
  void remote_read(const Node& n) { check_remote_read(reader_, n); }
  void storage(const Node& n) { check_storage(reader_, n); }
  void tracing(const Node& n) { check_tracing(reader_, n); }
  void otlp(const Node& n) { check_otlp(reader_, n, out_.global); }
  void runtime(const Node& n) { check_runtime(reader_, n); }

  void read_other(const std::string& name) {
    std::error_code unknown;
    // Opening a pipe would wait for whoever writes to it.
    if (!fs::is_regular_file(name, unknown)) return reader_.fault(name + " is no file");
    const auto text = read_text(name);
    if (!text) return reader_.fault(text.error().message());
    const auto root = model::config::parse_yaml(*text, name);
    if (!root) return reader_.fault(root.error().message());
    FileReader other(name, out_);
    other.reader_.mapping(*root, "a file of scrape_config_files",
                          {{"scrape_configs", [&](const Node& n) { other.read_jobs(n); }}});
    if (const auto read = other.result(); !read) reader_.fault(read.error().message());
    for (const std::string& warning : other.reader_.take_warnings()) reader_.warn_text(warning);
  }

  void add_limits(Keys& keys, ScrapeLimits& limits) {
    keys["sample_limit"] = reader_.number(limits.sample_limit);
    keys["series_limit"] = reader_.number(limits.series_limit);
    keys["target_limit"] = reader_.number(limits.target_limit);
    keys["label_limit"] = reader_.number(limits.label_limit);
    keys["label_name_length_limit"] = reader_.number(limits.label_name_length_limit);
    keys["label_value_length_limit"] = reader_.number(limits.label_value_length_limit);
    keys["keep_dropped_targets"] = reader_.number(limits.keep_dropped_targets);
    keys["body_size_limit"] = [this, &limits](const Node& n) {
      reader_.put(n.as_bytes(), limits.body_size_limit_bytes);
    };
  }

  // What the formats may be, in global and in a job alike.
  struct FormatTexts {
    std::string scheme;
    std::string escaping;
  };

  void add_format(Keys& keys, FormatConfig& format, FormatTexts& texts) {
    keys["scrape_protocols"] = [this, &format](const Node& n) { protocols(n, format.scrape_protocols); };
    keys["scrape_native_histograms"] = reader_.flag(format.scrape_native_histograms);
    keys["always_scrape_classic_histograms"] = reader_.flag(format.always_scrape_classic_histograms);
    keys["scrape_classic_histograms"] = reader_.flag(format.always_scrape_classic_histograms);  // its name in 2.45
    keys["convert_classic_histograms_to_nhcb"] = reader_.flag(format.convert_classic_histograms_to_nhcb);
    keys["extra_scrape_metrics"] = reader_.flag(format.extra_scrape_metrics);
    keys["metric_name_validation_scheme"] = reader_.choice(texts.scheme, {"utf8", "legacy"});
    keys["metric_name_escaping_scheme"] =
        reader_.choice(texts.escaping, {"allow-utf-8", "underscores", "dots", "values"});
  }

  void protocols(const Node& node, std::vector<ScrapeProtocol>& into) {
    into.clear();
    reader_.each(node, "scrape_protocols", [&](const Node& item) {
      const auto protocol = this->protocol(item);
      if (!protocol) return;
      if (std::ranges::find(into, *protocol) != into.end())
        reader_.fault(item, fmt::format("{} stands twice in scrape_protocols", item.text()));
      into.push_back(*protocol);
    });
    if (into.empty()) reader_.fault(node, "scrape_protocols names none");
  }

  std::optional<ScrapeProtocol> protocol(const Node& node) {
    std::string given;
    reader_.put(node.as_string(), given);
    const auto known = parse_scrape_protocol(given);
    if (!known) {
      std::string all;
      for (const auto& [protocol, name] : kProtocols) all.append(all.empty() ? "" : ", ").append(name);
      reader_.fault(node, fmt::format("\"{}\" is no scrape protocol; there are {}", given, all));
    }
    return known;
  }

  void take_names(const Node& node, const FormatTexts& texts, FormatConfig& format) {
    if (!texts.scheme.empty()) {
      format.name_scheme = texts.scheme == "legacy" ? model::NameScheme::kLegacy : model::NameScheme::kUtf8;
    }
    for (const auto& [escaping, name] : kEscapings) {
      if (texts.escaping == name) format.name_escaping = escaping;
    }
    if (format.name_scheme == model::NameScheme::kLegacy && format.name_escaping == NameEscaping::kAllowUtf8) {
      if (texts.escaping.empty()) {
        format.name_escaping = NameEscaping::kUnderscores;
      } else {
        reader_.fault(node, "metric_name_escaping_scheme allow-utf-8 needs metric_name_validation_scheme utf8");
      }
    }
  }

  void read_global(const Node* node, GlobalConfig& global) {
    std::int64_t timeout_ms = 0;
    if (node != nullptr) {
      FormatTexts texts;
      Keys keys = {{"scrape_interval", reader_.duration(global.scrape_interval_ms)},
                   {"scrape_timeout", reader_.duration(timeout_ms)},
                   {"evaluation_interval", reader_.duration(global.evaluation_interval_ms)},
                   {"rule_query_offset", reader_.duration(global.rule_query_offset_ms)},
                   {"query_log_file", reader_.path(global.query_log_file)},
                   {"scrape_failure_log_file", reader_.path(global.scrape_failure_log_file)},
                   {"runtime", [this](const Node& n) { runtime(n); }},
                   {"external_labels",
                    [&](const Node& n) { reader_.labels(n, "external_labels", global.external_labels, true); }}};
      add_limits(keys, global.limits);
      add_format(keys, global.format, texts);
      reader_.mapping(*node, "global", keys);
      take_names(*node, texts, global.format);
    }
    if (global.scrape_interval_ms == 0) global.scrape_interval_ms = GlobalConfig().scrape_interval_ms;
    if (global.evaluation_interval_ms == 0) global.evaluation_interval_ms = GlobalConfig().evaluation_interval_ms;
    if (timeout_ms > global.scrape_interval_ms) {
      reader_.fault(*node, "the global scrape_timeout is longer than the global scrape_interval");
    }
    global.scrape_timeout_ms =
        timeout_ms != 0 ? timeout_ms : std::min(GlobalConfig().scrape_timeout_ms, global.scrape_interval_ms);
  }

  void read_jobs(const Node& node) {
    reader_.each(node, "scrape_configs", [&](const Node& item) {
      if (item.is_null()) return reader_.fault(item, "a scrape config is empty");
      ScrapeConfig job = read_job(item, out_.global);
      const auto same = [&](const ScrapeConfig& other) { return other.job_name == job.job_name; };
      if (!job.job_name.empty() && std::ranges::any_of(out_.scrape_configs, same)) {
        reader_.fault(item, "there are two scrape configs with the job_name \"" + job.job_name + "\"");
      }
      out_.scrape_configs.push_back(std::move(job));
    });
  }

  ScrapeConfig read_job(const Node& node, const GlobalConfig& global) {
    ScrapeConfig job;
    job.interval_ms = 0;
    job.timeout_ms = 0;
    job.format = global.format;
    job.failure_log_file = global.scrape_failure_log_file;
    FormatTexts texts;
    HttpFields http(reader_, job.http);
    Keys keys = {
        {"job_name", reader_.text(job.job_name)},
        {"scrape_interval", reader_.duration(job.interval_ms)},
        {"scrape_timeout", reader_.duration(job.timeout_ms)},
        {"metrics_path", reader_.text(job.metrics_path)},
        {"scheme", reader_.text(job.scheme)},
        {"params", [&](const Node& n) { params(n, job.params); }},
        {"honor_labels", reader_.flag(job.honor_labels)},
        {"honor_timestamps", reader_.flag(job.honor_timestamps)},
        {"track_timestamps_staleness", reader_.flag(job.track_timestamps_staleness)},
        {"enable_compression", reader_.flag(job.enable_compression)},
        {"fallback_scrape_protocol", [&](const Node& n) { job.fallback_protocol = protocol(n); }},
        {"scrape_failure_log_file", reader_.path(job.failure_log_file)},
        {"native_histogram_bucket_limit", reader_.number(job.native_histogram_bucket_limit)},
        {"native_histogram_min_bucket_factor",
         [&](const Node& n) { reader_.put(n.as_double(), job.native_histogram_min_bucket_factor); }},
    };
    http.add_to(keys);
    add_limits(keys, job.limits);
    add_format(keys, job.format, texts);
    add_sd_keys(reader_, keys, job.static_configs, job.sd_configs);
    const model::NameScheme scheme = scheme_of(node, global.format.name_scheme);
    keys["relabel_configs"] = reader_.relabel_configs("relabel_configs", job.relabel_configs, scheme);
    keys["metric_relabel_configs"] =
        reader_.relabel_configs("metric_relabel_configs", job.metric_relabel_configs, scheme);
    reader_.mapping(node, "a scrape config", keys);
    http.finish(node);
    take_names(node, texts, job.format);

    if (job.job_name.empty()) reader_.fault(node, "a scrape config has no job_name");
    if (job.scheme != "http" && job.scheme != "https")
      reader_.fault(node, "scheme is http or https, not " + job.scheme);
    // Relabelling may make an address of anything.
    if (job.relabel_configs.empty()) check_static_targets(reader_, node);
    if (job.format.convert_classic_histograms_to_nhcb)
      reader_.warn(node,
                   "convert_classic_histograms_to_nhcb converts what comes as protobuf, and not what comes as text");
    take_intervals(node, global, job);
    take_global_limits(global.limits, job.limits);
    return job;
  }

  // The rules of relabelling need it before the mapping is read.
  static model::NameScheme scheme_of(const Node& node, model::NameScheme otherwise) {
    const Node* const given = node.is_mapping() ? node.find("metric_name_validation_scheme") : nullptr;
    if (given == nullptr || !given->is_scalar()) return otherwise;
    return given->text() == "legacy" ? model::NameScheme::kLegacy : model::NameScheme::kUtf8;
  }

  void take_intervals(const Node& node, const GlobalConfig& global, ScrapeConfig& job) {
    if (job.interval_ms == 0) job.interval_ms = global.scrape_interval_ms;
    if (job.timeout_ms > job.interval_ms) {
      reader_.fault(node,
                    "scrape_timeout is longer than scrape_interval in the scrape config \"" + job.job_name + "\"");
    }
    if (job.timeout_ms == 0) job.timeout_ms = std::min(global.scrape_timeout_ms, job.interval_ms);
  }

  static void take_global_limits(const ScrapeLimits& global, ScrapeLimits& job) {
    for (const auto limit :
         {&ScrapeLimits::sample_limit, &ScrapeLimits::series_limit, &ScrapeLimits::target_limit,
          &ScrapeLimits::label_limit, &ScrapeLimits::label_name_length_limit, &ScrapeLimits::label_value_length_limit,
          &ScrapeLimits::body_size_limit_bytes, &ScrapeLimits::keep_dropped_targets}) {
      if (job.*limit == 0) job.*limit = global.*limit;
    }
  }

  void params(const Node& node, std::map<std::string, std::vector<std::string>>& into) {
    if (!node.is_mapping()) return reader_.fault(node, "params is a mapping of names to lists of values");
    for (const Node::Entry& entry : node.entries()) reader_.texts("a parameter", into[entry.key.text()])(entry.value);
  }

  Reader reader_;
  PrometheusFile& out_;
};

}  // namespace

std::string_view to_string(ScrapeProtocol protocol) {
  for (const auto& [known, name] : kProtocols) {
    if (known == protocol) return name;
  }
  return {};
}

std::optional<ScrapeProtocol> parse_scrape_protocol(std::string_view text) {
  for (const auto& [protocol, name] : kProtocols) {
    if (name == text) return protocol;
  }
  return std::nullopt;
}

std::string_view to_string(NameEscaping escaping) {
  for (const auto& [known, name] : kEscapings) {
    if (known == escaping) return name;
  }
  return {};
}

base::Status check_address(std::string_view address) {
  const auto wrong = [&](std::string_view why) {
    return base::fail(base::ErrorCode::kInvalid,
                      "\"" + std::string(address) + "\" is not a target: " + std::string(why));
  };
  if (address.empty()) return base::fail(base::ErrorCode::kInvalid, "a target is empty; write host:port");
  // What would change the meaning of the URL.
  if (address.find_first_of("/?#@ \t\r\n\\") != std::string_view::npos)
    return wrong("write host:port without scheme and path (there are `scheme` and `metrics_path`)");
  std::string_view host = address;
  std::string_view port;
  if (host.starts_with('[')) {
    const auto bracket = host.find(']');
    if (bracket == std::string_view::npos) return wrong("its ] is missing; write [IPV6]:port");
    port = host.substr(bracket + 1);
    host = host.substr(1, bracket - 1);
    if (!port.empty() && !port.starts_with(':')) return wrong("write [IPV6]:port");
  } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    if (host.find(':', colon + 1) != std::string_view::npos) return wrong("write an IPv6 address as [IPV6]:port");
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (host.empty()) return wrong("it has no host; write host:port");
  if (port.empty()) return {};
  std::uint16_t number = 0;
  const char* const end = port.data() + port.size();
  const auto read = std::from_chars(port.data() + 1, end, number);
  if (read.ec != std::errc() || read.ptr != end || number == 0) return wrong("a port is a number from 1 to 65535");
  return {};
}

base::Result<PrometheusFile> parse_prometheus_file(std::string_view text, const fs::path& file) {
  QD_ASSIGN(const Node root, model::config::parse_yaml(text, file.string()));
  PrometheusFile out;
  out.files.push_back(file.string());
  FileReader reader(file, out);
  reader.read_main(root);
  QD_TRY(reader.result());
  return out;
}

base::Result<PrometheusFile> load_prometheus_file(const fs::path& file) {
  QD_ASSIGN(const std::string text, read_text(file));
  return parse_prometheus_file(text, file);
}

}  // namespace qd::observe::scrape
