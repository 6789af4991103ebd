#include "model/exposition/parser.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/strings.h"
#include "model/exposition/family_check.h"
#include "model/exposition/number.h"

namespace qd::model::exposition {

using base::ErrorCode;

namespace {

// What an error shows of a line.
constexpr std::size_t kShownBytes = 60;
// Of one series; past it a line is refused, so that checking for repeated names stays cheap.
constexpr std::size_t kLabelsLimit = 10'000;
// Up to here names are compared pair by pair.
constexpr std::size_t kPairwiseLabels = 16;
// OpenMetrics 1.0.0, "Exemplars": code points of the label names and values together.
constexpr std::size_t kExemplarLimitCodePoints = 128;

enum : std::uint8_t { kLabelStart = 1, kLabelRest = 2, kMetricStart = 4, kMetricRest = 8 };

constexpr std::array<std::uint8_t, 256> name_table() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool number = c >= '0' && c <= '9';
    if (letter) table[c] = kLabelStart | kLabelRest | kMetricStart | kMetricRest;
    if (number) table[c] = kLabelRest | kMetricRest;
    if (c == ':') table[c] = kMetricStart | kMetricRest;
  }
  return table;
}
constexpr std::array<std::uint8_t, 256> kNames = name_table();

inline bool is_name(char c, std::uint8_t what) {
  return (kNames[static_cast<unsigned char>(c)] & what) != 0;
}

const char* skip_name(const char* at, const char* end, std::uint8_t start, std::uint8_t rest) {
  if (at == end || !is_name(*at, start)) return at;
  ++at;
  while (at != end && is_name(*at, rest)) ++at;
  return at;
}

// The first quote, backslash or end of line; `ascii` turns false when a byte before it has its high bit set.
const char* find_in_quotes(const char* at, const char* end, bool& ascii) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i newline = _mm_set1_epi8('\n');
  while (end - at >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i found = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                       _mm_cmpeq_epi8(bytes, newline));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    const auto high = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    if (mask != 0) {
      const int n = std::countr_zero(mask);
      if ((high & ((1U << n) - 1)) != 0) ascii = false;
      return at + n;
    }
    if (high != 0) ascii = false;
    at += 16;
  }
#endif
  for (; at != end; ++at) {
    const char c = *at;
    if (c == '"' || c == '\\' || c == '\n') break;
    if (static_cast<signed char>(c) < 0) ascii = false;
  }
  return at;
}

// \\, \" and \n; any other backslash stays as it is.
void unescape(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char next = text[i + 1];
      if (next == '\\' || next == '"' || next == 'n') {
        out.push_back(next == 'n' ? '\n' : next);
        ++i;
        continue;
      }
    }
    out.push_back(text[i]);
  }
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Saturated: a time that no int64 of milliseconds holds is further away than any store takes.
TimestampMs to_timestamp_ms(double seconds) {
  const double ms = seconds * 1000;
  if (ms >= 9.2e18) return kMaxTimestampMs;
  if (ms <= -9.2e18) return kMinTimestampMs;
  return static_cast<TimestampMs>(std::floor(ms + 0.5));
}

}  // namespace

Parser::Parser(std::string_view text, Format format, Check check)
    : format_(format), begin_(text.data()), end_(text.data() + text.size()), at_(text.data()) {
  if (format == Format::kOpenMetrics && check == Check::kFamilies) check_ = std::make_unique<FamilyCheck>();
}

Parser::~Parser() = default;

base::Status Parser::fail(std::string_view problem) const {
  return fail_at(at_, problem);
}

base::Status Parser::fail_at(const char* at, std::string_view problem) const {
  const auto line = 1 + std::count(begin_, at, '\n');
  const char* start = at;
  while (start != begin_ && start[-1] != '\n') --start;
  const char* const stop = std::find(start, end_, '\n');
  const std::string_view text(start, static_cast<std::size_t>(stop - start));
  std::string message = "line " + std::to_string(line) + ": " + std::string(problem);
  if (!text.empty()) {
    message.append(": ").append(text.substr(0, kShownBytes));
    if (text.size() > kShownBytes) message.append("…");
  }
  return base::fail(ErrorCode::kInvalid, std::move(message));
}

void Parser::skip_blanks() {
  while (at_ != end_ && is_blank(*at_)) ++at_;
}

std::string_view Parser::rest_of_line() const {
  const void* const newline = at_ == end_ ? nullptr : std::memchr(at_, '\n', static_cast<std::size_t>(end_ - at_));
  const char* const stop = newline == nullptr ? end_ : static_cast<const char*>(newline);
  return {at_, static_cast<std::size_t>(stop - at_)};
}

base::Status Parser::end_of_line() {
  if (at_ == end_) return {};
  if (*at_ != '\n') return fail("the line goes on after what it has to say");
  ++at_;
  return {};
}

base::Result<Event> Parser::next(std::string_view expected) {
  if (done_) return Event::kEof;
  auto event = format_ == Format::kPrometheusText ? next_in_text(expected) : next_in_openmetrics(expected);
  if (!event || *event == Event::kEof) done_ = true;
  return event;
}

base::Result<Event> Parser::next_in_text(std::string_view expected) {
  while (true) {
    if (at_ == end_) return Event::kEof;
    if (take_expected(expected)) break;
    skip_blanks();
    if (at_ == end_) return Event::kEof;
    if (*at_ == '\n') {
      ++at_;
      continue;
    }
    if (*at_ == '#') return read_text_comment();
    QD_TRY(read_series());
    break;
  }
  QD_TRY(read_text_sample());
  return Event::kSeries;
}

base::Result<Event> Parser::next_in_openmetrics(std::string_view expected) {
  if (at_ == end_) return std::unexpected(fail("the text ends without # EOF").error());
  if (!take_expected(expected)) {
    if (*at_ == '#') return read_openmetrics_comment();
    QD_TRY(read_series());
  }
  const char* const line = series_.data();
  QD_TRY(read_openmetrics_sample());
  if (check_) {
    if (auto status = check_->sample(labels(), value_, timestamp_ms_, exemplar_.has_value()); !status) {
      return std::unexpected(fail_at(line, status.error().message()).error());
    }
  }
  return Event::kSeries;
}

// The text of a series reads the same wherever it stands, if what follows cannot belong to it.
bool Parser::take_expected(std::string_view expected) {
  as_expected_ = false;
  const std::size_t size = expected.size();
  if (size == 0 || static_cast<std::size_t>(end_ - at_) <= size) return false;
  if (at_[size] != ' ' || std::memcmp(at_, expected.data(), size) != 0) return false;
  if (format_ == Format::kPrometheusText && expected.back() != '}') {
    // Braces may stand apart from their name.
    const char* after = at_ + size;
    while (after != end_ && is_blank(*after)) ++after;
    if (after != end_ && *after == '{') return false;
  }
  series_ = {at_, size};
  at_ += size;
  as_expected_ = true;
  sliced_ = false;
  built_ = false;
  return true;
}

base::Status Parser::read_series() {
  const char* const start = at_;
  sliced_ = true;
  built_ = false;
  slices_.clear();
  name_ = {};
  if (*at_ == '{') {
    QD_TRY(read_braces(false));
  } else {
    at_ = skip_name(at_, end_, kMetricStart, kMetricRest);
    if (at_ == start) return fail("a metric name is expected here");
    name_.text = {start, static_cast<std::size_t>(at_ - start)};
    const char* const name_end = at_;
    if (format_ == Format::kPrometheusText) skip_blanks();
    if (at_ != end_ && *at_ == '{') {
      QD_TRY(read_braces(true));
    } else {
      at_ = name_end;
    }
  }
  series_ = {start, static_cast<std::size_t>(at_ - start)};
  return {};
}

base::Status Parser::read_braces(bool after_name) {
  ++at_;
  const bool blanks = format_ == Format::kPrometheusText;
  bool first = true;
  while (true) {
    if (blanks) skip_blanks();
    if (at_ == end_ || *at_ == '\n') return fail("the labels do not end with }");
    if (*at_ == '}') {
      // A comma before the brace is allowed in Prometheus text only.
      if (!first && !blanks && at_[-1] == ',') return fail("a label is expected after the comma");
      ++at_;
      break;
    }
    QD_TRY(read_label(first, after_name));
    first = false;
    if (blanks) skip_blanks();
    if (at_ != end_ && *at_ == ',') {
      ++at_;
    } else if (at_ == end_ || *at_ != '}') {
      return fail("a comma or } is expected after a label");
    }
  }
  if (!after_name && name_.text.empty()) return fail("the series has no metric name");
  return check_unique();
}

base::Status Parser::read_label(bool first, bool after_name) {
  if (slices_.size() == kLabelsLimit) return fail("the series has more than 10000 labels");
  const bool blanks = format_ == Format::kPrometheusText;
  LabelSlice label;
  if (*at_ == '"') {
    QD_TRY(read_quoted(label.name, "name"));
    if (label.name.text.empty()) return fail("a name is empty");
    if (blanks) skip_blanks();
    if (at_ == end_ || *at_ != '=') {
      if (!first || after_name) return fail("= is expected after a label name");
      name_ = label.name;
      return {};
    }
  } else {
    const char* const start = at_;
    at_ = skip_name(at_, end_, kLabelStart, kLabelRest);
    if (at_ == start) return fail("a label name is expected here");
    label.name.text = {start, static_cast<std::size_t>(at_ - start)};
    if (blanks) skip_blanks();
    if (at_ == end_ || *at_ != '=') return fail("= is expected after a label name");
  }
  ++at_;
  if (blanks) skip_blanks();
  if (at_ == end_ || *at_ != '"') return fail("a label value stands in double quotes");
  QD_TRY(read_quoted(label.value, "label value"));
  slices_.push_back(label);
  return {};
}

base::Status Parser::read_quoted(Slice& slice, std::string_view what) {
  const char* const start = ++at_;
  bool ascii = true;
  while (true) {
    at_ = find_in_quotes(at_, end_, ascii);
    if (at_ == end_ || *at_ == '\n') {
      return fail_at(start, std::string("a ") + std::string(what) + " does not end with a double quote");
    }
    if (*at_ == '"') break;
    slice.escaped = true;
    if (end_ - at_ < 2 || at_[1] == '\n') return fail("a backslash ends the line");
    if (static_cast<signed char>(at_[1]) < 0) ascii = false;
    at_ += 2;
  }
  slice.text = {start, static_cast<std::size_t>(at_ - start)};
  ++at_;
  if (!ascii && !base::valid_utf8(slice.text)) return fail("a " + std::string(what) + " is not UTF-8");
  return {};
}

base::Status Parser::check_unique() {
  const auto repeated = [&](std::string_view name) {
    return fail("the label " + std::string(name) + " is given twice");
  };
  const bool escaped = std::ranges::any_of(slices_, [](const LabelSlice& label) { return label.name.escaped; });
  if (slices_.size() <= kPairwiseLabels && !escaped) {
    for (std::size_t i = 0; i < slices_.size(); ++i) {
      const std::string_view name = slices_[i].name.text;
      if (name == kMetricName) return repeated(name);
      for (std::size_t j = 0; j < i; ++j) {
        if (slices_[j].name.text == name) return repeated(name);
      }
    }
    return {};
  }
  build_labels();
  names_.clear();
  for (const Label& label : labels_) names_.push_back(label.name);
  std::ranges::sort(names_);
  const auto twice = std::ranges::adjacent_find(names_);
  if (twice != names_.end()) return repeated(*twice);
  return {};
}

std::string_view Parser::unescaped(const Slice& slice, std::string& buffer, std::size_t room) {
  if (!slice.escaped) return slice.text;
  // Unescaping never makes longer: with this room the views into the buffer stay valid.
  if (buffer.capacity() < room) buffer.reserve(room);
  const std::size_t at = buffer.size();
  unescape(slice.text, buffer);
  return std::string_view(buffer).substr(at);
}

std::span<const Label> Parser::labels() {
  if (built_) return labels_;
  if (!sliced_) {
    // It has been read before, so that it reads again.
    const char* const after = at_;
    at_ = series_.data();
    [[maybe_unused]] const auto status = read_series();
    at_ = after;
  }
  build_labels();
  built_ = true;
  return labels_;
}

std::span<const Label> Parser::exemplar_labels() {
  // It has been read before, so that it reads again. labels() is that of the series whenever it is asked next.
  const char* const after = at_;
  const Slice name = name_;
  at_ = exemplar_->labels.data();
  slices_.clear();
  [[maybe_unused]] const auto status = read_braces(true);
  at_ = after;
  name_ = {};
  build_labels();
  name_ = name;
  sliced_ = false;
  built_ = false;
  return std::span(labels_).subspan(1);
}

void Parser::build_labels() {
  labels_.clear();
  unescape_buffer_.clear();
  std::size_t room = name_.escaped ? name_.text.size() : 0;
  for (const LabelSlice& label : slices_) {
    if (label.name.escaped) room += label.name.text.size();
    if (label.value.escaped) room += label.value.text.size();
  }
  labels_.push_back({kMetricName, unescaped(name_, unescape_buffer_, room)});
  for (const LabelSlice& label : slices_) {
    const std::string_view name = unescaped(label.name, unescape_buffer_, room);
    labels_.push_back({name, unescaped(label.value, unescape_buffer_, room)});
  }
}

base::Status Parser::read_value(double& value, std::string_view what) {
  const char* const after = read_float(at_, end_, value);
  if (after == nullptr || (after != end_ && *after != '\n' && !is_blank(*after))) {
    return fail("the " + std::string(what) + " is not a number");
  }
  at_ = after;
  return {};
}

base::Status Parser::read_text_sample() {
  const char* const series_end = at_;
  skip_blanks();
  // `up 1`, and `up{} 1` or `up{}1`: only after braces the blank may be missing.
  if (at_ == end_ || *at_ == '\n') return fail_at(series_end, "the sample has no value");
  if (at_ == series_end && series_.back() != '}') return fail("a blank is expected after the metric name");
  QD_TRY(read_value(value_, "value"));
  timestamp_ms_.reset();
  if (at_ == end_) return {};
  if (*at_ != '\n') [[unlikely]] {
    skip_blanks();
    if (at_ != end_ && *at_ != '\n') {
      TimestampMs timestamp = 0;
      const char* const start = *at_ == '+' && end_ - at_ > 1 && at_[1] != '-' ? at_ + 1 : at_;
      const auto read = std::from_chars(start, end_, timestamp);
      if (read.ec != std::errc() || (read.ptr != end_ && *read.ptr != '\n' && !is_blank(*read.ptr))) {
        return fail("the timestamp is not a whole number of milliseconds");
      }
      timestamp_ms_ = timestamp;
      at_ = read.ptr;
      skip_blanks();
    }
  }
  return end_of_line();
}

base::Status Parser::read_openmetrics_sample() {
  if (at_ == end_ || *at_ != ' ') return fail("one space is expected after the series");
  ++at_;
  if (at_ == end_ || *at_ == '\n') return fail("the sample has no value");
  QD_TRY(read_value(value_, "value"));
  timestamp_ms_.reset();
  exemplar_.reset();
  if (end_ - at_ > 1 && *at_ == ' ' && at_[1] != '#') QD_TRY(read_openmetrics_timestamp(timestamp_ms_));
  if (end_ - at_ > 1 && *at_ == ' ' && at_[1] == '#') QD_TRY(read_exemplar());
  if (at_ == end_) return fail("the text ends without # EOF");
  return end_of_line();
}

base::Status Parser::read_openmetrics_timestamp(std::optional<TimestampMs>& timestamp_ms) {
  ++at_;
  double seconds = 0;
  QD_TRY(read_value(seconds, "timestamp"));
  if (!std::isfinite(seconds)) return fail("the timestamp is not finite");
  timestamp_ms = to_timestamp_ms(seconds);
  return {};
}

// ` # {trace_id="x"} 0.67 1520879607.789`, from the space on.
base::Status Parser::read_exemplar() {
  if (end_ - at_ < 4 || std::memcmp(at_, " # {", 4) != 0) return fail("an exemplar begins with \" # {\"");
  at_ += 3;
  // The slices become those of the exemplar; whoever asks for the labels of the series has them read again.
  const Slice name = name_;
  sliced_ = false;
  built_ = false;
  const char* const start = at_;
  slices_.clear();
  QD_TRY(read_braces(true));
  std::size_t length = 0;
  for (const LabelSlice& label : slices_) length += code_points(label.name.text) + code_points(label.value.text);
  if (length > kExemplarLimitCodePoints) return fail("the labels of the exemplar are longer than 128 characters");
  Exemplar exemplar;
  exemplar.labels = {start, static_cast<std::size_t>(at_ - start)};
  name_ = name;
  if (at_ == end_ || *at_ != ' ') return fail("one space is expected after the labels of the exemplar");
  ++at_;
  QD_TRY(read_value(exemplar.value, "value of the exemplar"));
  if (at_ != end_ && *at_ == ' ') QD_TRY(read_openmetrics_timestamp(exemplar.timestamp_ms));
  exemplar_ = exemplar;
  return {};
}

base::Status Parser::read_family() {
  const char* const start = at_;
  if (at_ != end_ && *at_ == '"') {
    Slice slice;
    QD_TRY(read_quoted(slice, "name"));
    if (slice.text.empty()) return fail("a name is empty");
    family_buffer_.clear();
    family_ = unescaped(slice, family_buffer_, slice.text.size());
    return {};
  }
  at_ = skip_name(at_, end_, kMetricStart, kMetricRest);
  if (at_ == start) return fail("a metric name is expected here");
  family_ = {start, static_cast<std::size_t>(at_ - start)};
  return {};
}

base::Status Parser::read_type(std::string_view text) {
  const auto type = parse_metric_type(text);
  const bool classic = text == "counter" || text == "gauge" || text == "histogram" || text == "summary";
  const bool known =
      format_ == Format::kOpenMetrics ? type.has_value() && text != "untyped" : classic || text == "untyped";
  if (!known) return fail("there is no such metric type");
  type_ = *type;
  return {};
}

base::Result<Event> Parser::read_text_comment() {
  const char* const start = at_;
  ++at_;
  const char* const hash_end = at_;
  skip_blanks();
  const std::string_view line = rest_of_line();
  const bool help = at_ != hash_end && line.size() > 4 && line.starts_with("HELP") && is_blank(line[4]);
  const bool type = at_ != hash_end && line.size() > 4 && line.starts_with("TYPE") && is_blank(line[4]);
  const char* const line_end = line.data() + line.size();
  if (!help && !type) {
    text_value_ = {start, static_cast<std::size_t>(line_end - start)};
    at_ = line_end == end_ ? end_ : line_end + 1;
    return Event::kComment;
  }
  at_ += 5;
  skip_blanks();
  QD_TRY(read_family());
  if (at_ != line_end && !is_blank(*at_)) return std::unexpected(fail("a blank is expected after the name").error());
  skip_blanks();
  std::string_view text(at_, static_cast<std::size_t>(line_end - at_));
  if (type) {
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    QD_TRY(read_type(text));
  } else {
    if (!base::valid_utf8(text)) return std::unexpected(fail("the help is not UTF-8").error());
    text_buffer_.clear();
    text_value_ = unescaped({text, text.find('\\') != std::string_view::npos}, text_buffer_, text.size());
  }
  at_ = line_end == end_ ? end_ : line_end + 1;
  return type ? Event::kType : Event::kHelp;
}

base::Result<Event> Parser::read_openmetrics_comment() {
  const char* const start = at_;
  const std::string_view line = rest_of_line();
  const char* const line_end = line.data() + line.size();
  if (line == "# EOF") {
    at_ = line_end;
    if (at_ != end_) ++at_;
    if (at_ != end_) return std::unexpected(fail("text after # EOF").error());
    if (check_) {
      if (auto status = check_->end(); !status) {
        return std::unexpected(fail_at(start, status.error().message()).error());
      }
    }
    return Event::kEof;
  }
  if (line_end == end_) return std::unexpected(fail("the text ends without # EOF").error());
  Event event = Event::kHelp;
  if (line.starts_with("# TYPE ")) {
    event = Event::kType;
  } else if (line.starts_with("# UNIT ")) {
    event = Event::kUnit;
  } else if (!line.starts_with("# HELP ")) {
    return std::unexpected(fail("a line with # is HELP, TYPE, UNIT or EOF").error());
  }
  at_ += 7;
  QD_TRY(read_family());
  if (at_ == line_end || *at_ != ' ') return std::unexpected(fail("one space is expected after the name").error());
  ++at_;
  const std::string_view text(at_, static_cast<std::size_t>(line_end - at_));
  base::Status checked;
  if (event == Event::kType) {
    QD_TRY(read_type(text));
    if (check_) checked = check_->type(family_, type_);
  } else {
    if (!base::valid_utf8(text)) return std::unexpected(fail("the text is not UTF-8").error());
    if (event == Event::kUnit) {
      text_value_ = text;
      if (check_) checked = check_->unit(family_, text);
    } else {
      text_buffer_.clear();
      text_value_ = unescaped({text, text.find('\\') != std::string_view::npos}, text_buffer_, text.size());
      if (check_) checked = check_->help(family_);
    }
  }
  if (!checked) return std::unexpected(fail_at(start, checked.error().message()).error());
  at_ = line_end + 1;
  return event;
}

}  // namespace qd::model::exposition
