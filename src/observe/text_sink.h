// A sink that writes a pass as text, for /exporters/<name>/metrics and /metrics.
#pragma once

#include <string>

#include "model/exposition/writer.h"
#include "observe/collector.h"

namespace qd::observe {

class TextSink final : public Sink {
 public:
  // Appends to `out`, which outlives it.
  TextSink(std::string& out, model::exposition::Format format) : writer_(out, format) {}

  void family(std::string_view name, model::MetricType type, std::string_view help) override {
    name_ = name;
    family_size_ = name.size();
    writer_.family(name, type, help);
  }
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const model::Label> labels, double value) override {
    name_.resize(family_size_);
    name_ += suffix;
    writer_.sample(name_, labels, value);
  }
  // Once, behind the last sample.
  void finish() { writer_.finish(); }

 private:
  model::exposition::TextWriter writer_;
  std::string name_;
  std::size_t family_size_ = 0;
};

}  // namespace qd::observe
