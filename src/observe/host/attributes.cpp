#include "observe/host/attributes.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <tuple>

#include "base/strings.h"

namespace qd::observe::host {
namespace {

// A page, which is all that a file of sysfs can hold.
constexpr std::size_t kTextBytesMax = 4096;

std::string_view trimmed(std::string_view text) {
  return base::trim(text.substr(0, kTextBytesMax));
}

}  // namespace

std::optional<double> read_integer(std::string_view text) {
  if (text.starts_with('-')) {
    std::int64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
    return static_cast<double>(value);
  }
  const auto value = decimal(text);
  return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
}

std::optional<double> read_milli(std::string_view text) {
  const auto value = read_integer(text);
  return value ? std::optional(*value * 0.001) : std::nullopt;
}

std::optional<double> read_micro(std::string_view text) {
  const auto value = read_integer(text);
  return value ? std::optional(*value / 1e6) : std::nullopt;
}

std::optional<double> read_any_base(std::string_view text) {
  if (!text.starts_with("0x")) return read_integer(text);
  const auto value = hexadecimal(text.substr(2));
  return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
}

std::optional<double> read_binary_units(std::string_view text) {
  if (text.empty()) return std::nullopt;
  static constexpr std::string_view kUnits = "kMGTPE";
  const char last = text.back() == 'K' ? 'k' : text.back();
  const auto unit = kUnits.find(last);
  if (unit == std::string_view::npos) return real(text);
  text.remove_suffix(1);
  const auto value = real(text);
  if (!value) return std::nullopt;
  return std::floor(*value * static_cast<double>(std::uint64_t{1} << (10 * (unit + 1))));
}

std::optional<std::string> text_of(FileReader& reader, const std::string& path) {
  const auto text = reader.read_once(path.c_str());
  if (!text) return std::nullopt;
  std::string value(trimmed(*text));
  make_utf8(value);
  return value;
}

Outcome AttributesPart::collect(const Pass& pass) {
  if (pace_.due(pass.clock.monotonic_ns())) outcome_ = refresh(pass);
  rows_.tell_last(pass.sink);
  return outcome_;
}

Outcome AttributesPart::refresh(const Pass& pass) {
  if (listing_.changed(pass)) {
    rows_.clear();
    found_ = {};
    find(listing_.directory(), listing_.names(), rows_);
    rows_.finish();
  }
  const int error = listing_.error();
  if (error != 0 && (error != ENOENT || absent_ == Absent::kIsFailure)) {
    return Outcome::failed(error, listing_.directory());
  }
  const std::int64_t from_ns = pass.clock.monotonic_ns();
  const bool all = rows_.read(pass);
  pace_.took(from_ns, pass.clock.monotonic_ns());
  return all ? found_ : Outcome::failed(ETIMEDOUT, listing_.directory());
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

void Attributes::clear() {
  families_.clear();
  by_name_.clear();
  files_.clear();
  by_path_.clear();
  series_.clear();
  next_ = 0;
}

Attributes::Series* Attributes::next(const Family& family, Labels labels) {
  if (series_.size() >= kSeriesMax) return nullptr;
  const auto [found, added] = by_name_.try_emplace(family.name, families_.size());
  if (added) families_.push_back(family);
  for (auto& [name, value] : labels) make_utf8(value);
  Series& series = series_.emplace_back();
  series.family = found->second;
  series.labels = std::move(labels);
  return &series;
}

void Attributes::add(const Family& family, Labels labels, std::string path, ReadNumber read) {
  if (!exists(path)) return;
  Series* series = next(family, std::move(labels));
  if (series == nullptr) return;
  const auto [found, added] = by_path_.try_emplace(path, files_.size());
  if (added) {
    files_.push_back({.file = KeptFile(reader_, std::move(path)), .text = {}});
  } else {
    ++files_[found->second].series;
  }
  series->file = found->second;
  series->read = read;
}

void Attributes::add_value(const Family& family, Labels labels, double value) {
  Series* series = next(family, std::move(labels));
  if (series != nullptr) series->value = value;
}

void Attributes::add_info(const Family& family, Labels labels, std::vector<Text> texts) {
  for (const Text& text : texts) {
    if (text.required && !exists(text.path)) return;
  }
  Series* series = next(family, std::move(labels));
  if (series == nullptr) return;
  for (Text& text : texts) {
    std::optional<KeptFile> file;
    if (exists(text.path)) file.emplace(reader_, text.path);
    series->sources.push_back({std::move(text), std::move(file), {}, true});
  }
}

void Attributes::finish() {
  const auto key = [&](const Series& series) { return std::tie(families_[series.family].name, series.labels); };
  std::stable_sort(series_.begin(), series_.end(), [&](const Series& a, const Series& b) { return key(a) < key(b); });
  // What is read can tell series apart, too.
  const auto same = [&](const Series& a, const Series& b) {
    return a.family == b.family && a.labels == b.labels && a.sources.empty() && b.sources.empty();
  };
  series_.erase(std::unique(series_.begin(), series_.end(), same), series_.end());
}

bool Attributes::read_sources(Series& series) {
  for (Source& source : series.sources) {
    const auto text = source.file ? source.file->read() : std::unexpected(ENOENT);
    if (!text) {
      if (source.text.required) return false;
      source.value = source.text.otherwise;
    } else {
      std::string_view value = trimmed(*text);
      if (value.starts_with(source.text.without_prefix)) value.remove_prefix(source.text.without_prefix.size());
      source.value = value;
      make_utf8(source.value);
    }
    source.shown = !source.value.empty() || !source.text.or_nothing;
  }
  return true;
}

std::optional<double> Attributes::read_value(const Series& series, std::uint64_t pass) {
  File& file = files_[*series.file];
  if (file.series == 1) {
    const auto text = file.file.read();
    return text ? series.read(base::trim(*text)) : std::nullopt;
  }
  if (file.pass != pass) {
    file.pass = pass;
    const auto text = file.file.read();
    if (!text) {
      file.text.reset();
    } else if (file.text) {
      file.text->assign(*text);
    } else {
      file.text.emplace(*text);
    }
  }
  return file.text ? series.read(base::trim(*file.text)) : std::nullopt;
}

bool Attributes::read(const Pass& pass) {
  for (std::size_t i = 0; i < series_.size(); ++i) {
    // A read may ask the hardware, over a bus of a few kHz.
    if (pass.late()) return false;
    Series& series = series_[next_];
    next_ = (next_ + 1) % series_.size();
    series.known = true;
    if (series.file) {
      const auto number = read_value(series, pass.number);
      series.known = number.has_value();
      if (number) series.value = *number;
    }
    if (series.known) series.known = read_sources(series);
  }
  return true;
}

void Attributes::tell_last(Sink& sink) {
  const Family* begun = nullptr;
  for (const Series& series : series_) {
    if (!series.known) continue;
    labels_.clear();
    for (const auto& [name, text] : series.labels) labels_.push_back({name, text});
    for (const Source& source : series.sources) {
      if (source.shown) labels_.push_back({source.text.name, source.value});
    }
    const Family& family = families_[series.family];
    if (begun != &family) sink.family(family.name, family.type, family.help);
    begun = &family;
    sink.sample(labels_, series.value);
  }
}

}  // namespace qd::observe::host
