// Metrics that other programs leave in files: <directory>/<name>.prom, in the text format of Prometheus.
//
// A file that is malformed or too large, that has time stamps of its own, or that says a family's type otherwise than
// an earlier file, loses itself alone; node_textfile_scrape_error is 1 then. Files are read again when they have
// changed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/metadata.h"

namespace qd::observe::host {

struct TextSample {
  std::string suffix;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

struct TextFamily {
  model::MetricType type = model::MetricType::kUnknown;
  std::string help;
  std::vector<TextSample> samples;
};

// By name.
using TextFamilies = std::map<std::string, TextFamily, std::less<>>;

// More samples than these in one file are refused: a program that writes them belongs behind a port of its own.
inline constexpr std::size_t kTextfileSamplesMax = 50'000;
inline constexpr std::size_t kTextfileBytesMax = 8 << 20;
// More files than these are refused.
inline constexpr std::size_t kTextfilesMax = 1000;

// kInvalid says what is wrong and in which line; kLimit names the limit.
base::Result<TextFamilies> read_textfile(std::string_view text);

}  // namespace qd::observe::host
