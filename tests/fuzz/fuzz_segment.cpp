// A segment file: opened, searched and read whole; an even first byte leaves checksums aside.

#include <array>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "store/metrics/segment.h"

namespace {

using namespace qd::store::metrics;

Matcher matcher(Matcher::Kind kind, std::string name, std::string value) {
  auto made = Matcher::create(kind, std::move(name), std::move(value));
  QD_ASSERT(made.has_value());
  return *std::move(made);
}

const std::vector<std::vector<Matcher>>& questions() {
  using Kind = Matcher::Kind;
  static const std::vector<std::vector<Matcher>> all = {
      {},
      {matcher(Kind::kEqual, "__name__", "up")},
      {matcher(Kind::kRegex, "__name__", "(up|requests_total)"), matcher(Kind::kNotEqual, "job", "api")},
      {matcher(Kind::kNotRegex, "instance", "host-1.*"), matcher(Kind::kEqual, "le", "")},
      {matcher(Kind::kRegex, "job", "a.*")},
      {matcher(Kind::kNotEqual, "absent", "x"), matcher(Kind::kRegex, "le", ".+")},
  };
  return all;
}

void check_read(const Segment& segment, std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms) {
  Columns columns;
  if (!segment.read(id, from_ms, to_ms, columns)) {
    QD_ASSERT(columns.size() == 0 && columns.values.empty() && columns.histograms.empty());
    return;
  }
  QD_ASSERT(columns.histograms.empty() || columns.histograms.size() == columns.size());
  for (const auto& histogram : columns.histograms) {
    if (histogram == nullptr) continue;
    std::size_t buckets = 0;
    for (const auto& span : histogram->positive_spans) buckets += span.length;
    for (const auto& span : histogram->negative_spans) buckets += span.length;
    QD_ASSERT(buckets == histogram->positive.size() + histogram->negative.size());
  }
  QD_ASSERT(columns.times.size() == columns.values.size());
  for (std::size_t i = 0; i < columns.times.size(); ++i) {
    QD_ASSERT(columns.times[i] >= from_ms && columns.times[i] <= to_ms);
    QD_ASSERT(i == 0 || columns.times[i - 1] < columns.times[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  const auto checksums = input.byte() % 2 == 0 ? Segment::Checksums::kIgnore : Segment::Checksums::kVerify;
  const auto opened = Segment::from_bytes(input.bytes(), "fuzz.segment", checksums);
  if (!opened) {
    QD_ASSERT(!opened.error().message().empty());
    return 0;
  }
  const Segment& segment = **opened;
  const SegmentInfo& info = segment.info();
  QD_ASSERT(info.series <= input.size());

  constexpr TimestampMs kFrom = 1'700'000'500'000;
  constexpr TimestampMs kTo = 1'700'001'500'000;
  for (const auto& matchers : questions()) {
    for (const bool all : {true, false}) {
      const auto found =
          segment.find(matchers, all ? qd::model::kMinTimestampMs : kFrom, all ? qd::model::kMaxTimestampMs : kTo);
      if (!found) continue;
      for (std::size_t i = 0; i < found->size(); ++i) {
        QD_ASSERT((*found)[i] < info.series);
        QD_ASSERT(i == 0 || (*found)[i - 1] < (*found)[i]);
      }
    }
  }
  for (const std::string_view name : segment.label_names()) static_cast<void>(segment.label_values(name));
  for (std::uint32_t id = 0; id < info.series; ++id) {
    static_cast<void>(segment.labels(id).count());
    static_cast<void>(segment.label(id, "job"));
    std::vector<qd::model::Exemplar> exemplars;
    static_cast<void>(segment.exemplars(id, kFrom, kTo, exemplars));
    for (const auto& exemplar : exemplars) QD_ASSERT(exemplar.time_ms >= kFrom && exemplar.time_ms <= kTo);
    check_read(segment, id, qd::model::kMinTimestampMs, qd::model::kMaxTimestampMs);
    check_read(segment, id, kFrom, kTo);
  }
  static_cast<void>(segment.verify());
  return 0;
}
