// Reads exposed metrics event by event, without copying them.
//
//   Parser parser(body, Format::kOpenMetrics);
//   for (;;) {
//     QD_ASSIGN(Event event, parser.next());
//     if (event == Event::kEof) break;
//     if (event == Event::kSeries) use(parser.series(), parser.value());
//   }
//
// Sources: Prometheus text format 0.0.4 (with the quoted UTF-8 names of Prometheus 3) and OpenMetrics 1.0.0. Both are
// read as Prometheus reads them; with Check::kFamilies what OpenMetrics asks of whole families is held to as well.
//
// The text outlives the parser; what the accessors return is valid until the next call of next(). After an error the
// parser is done. Not thread-safe. Memory: bounded by the longest line, with Check::kFamilies also by eight bytes for
// each family name and for each group of the family being read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/exposition/format.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace qd::model::exposition {

// kHistogram comes of protobuf alone.
enum class Event : std::uint8_t { kSeries, kHistogram, kType, kHelp, kUnit, kComment, kEof };

// What is refused beyond malformed lines.
enum class Check : std::uint8_t {
  kLines,
  // OpenMetrics only: names that clash, samples that do not fit the type of their family, interleaved groups,
  // histograms that do not add up, metadata after samples. Prometheus text has no such rules.
  kFamilies,
};

class FamilyCheck;

class Parser {
 public:
  Parser(std::string_view text, Format format, Check check = Check::kFamilies);
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // kInvalid, "line 7: …", for the first line that is not what the format allows.
  //
  // `expected` is the series() of a line that this format gave before, if the caller thinks that it comes next: when it
  // does, its labels are not read again. A wrong guess costs one comparison.
  base::Result<Event> next(std::string_view expected = {});

  // After kSeries: metric name and labels as they stand in the text, `up{job="node"}`.
  std::string_view series() const { return series_; }
  // The series was the expected one.
  bool as_expected() const { return as_expected_; }
  // The same, read: the name first, as __name__, then the labels in the order of the text, unescaped. Names are unique.
  std::span<const Label> labels();
  double value() const { return value_; }
  std::optional<TimestampMs> timestamp_ms() const { return timestamp_ms_; }

  struct Exemplar {
    std::string_view labels;  // {trace_id="…"} as it stands in the text
    double value = 0;
    std::optional<TimestampMs> timestamp_ms;
  };
  const std::optional<Exemplar>& exemplar() const { return exemplar_; }
  // Its labels, read: in the order of the text, unescaped, names unique. REQUIRES: exemplar().
  std::span<const Label> exemplar_labels();

  // After kType, kHelp and kUnit.
  std::string_view family() const { return family_; }
  MetricType type() const { return type_; }
  std::string_view help() const { return text_value_; }
  std::string_view unit() const { return text_value_; }
  // After kComment: the line.
  std::string_view comment() const { return text_value_; }

 private:
  // A name or value as it stands between its quotes.
  struct Slice {
    std::string_view text;
    bool escaped = false;
  };
  struct LabelSlice {
    Slice name;
    Slice value;
  };

  base::Result<Event> next_in_text(std::string_view expected);
  base::Result<Event> next_in_openmetrics(std::string_view expected);
  bool take_expected(std::string_view expected);
  base::Status read_series();
  base::Status read_braces(bool after_name);
  base::Status read_label(bool first, bool after_name);
  base::Status read_quoted(Slice& slice, std::string_view what);
  base::Status check_unique();
  void build_labels();
  base::Status read_text_sample();
  base::Status read_openmetrics_sample();
  base::Status read_openmetrics_timestamp(std::optional<TimestampMs>& timestamp_ms);
  base::Status read_exemplar();
  base::Result<Event> read_text_comment();
  base::Result<Event> read_openmetrics_comment();
  base::Status read_family();
  base::Status read_type(std::string_view text);
  base::Status end_of_line();
  base::Status read_value(double& value, std::string_view what);
  void skip_blanks();
  std::string_view rest_of_line() const;
  std::string_view unescaped(const Slice& slice, std::string& buffer, std::size_t room);
  base::Status fail(std::string_view problem) const;
  base::Status fail_at(const char* at, std::string_view problem) const;

  const Format format_;
  const char* const begin_;
  const char* const end_;
  const char* at_;
  bool done_ = false;

  std::string_view series_;
  bool as_expected_ = false;
  bool sliced_ = false;  // the slices are those of series_
  bool built_ = false;   // so are the labels
  Slice name_;
  std::vector<LabelSlice> slices_;
  std::vector<Label> labels_;
  std::vector<std::string_view> names_;
  std::string unescape_buffer_;
  double value_ = 0;
  std::optional<TimestampMs> timestamp_ms_;
  std::optional<Exemplar> exemplar_;

  std::string_view family_;
  std::string family_buffer_;
  MetricType type_ = MetricType::kUnknown;
  std::string_view text_value_;
  std::string text_buffer_;

  std::unique_ptr<FamilyCheck> check_;
};

}  // namespace qd::model::exposition
