// A pass kept in memory, so that the passes of several instances can be told as one page.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/exposition/format.h"
#include "observe/collector.h"

namespace qd::observe {

class RecordedPass final : public Sink {
 public:
  struct Sample {
    std::string suffix;
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
  };
  struct Family {
    std::string name;
    model::MetricType type = model::MetricType::kUnknown;
    std::string help;
    std::vector<Sample> samples;
  };

  void family(std::string_view name, model::MetricType type, std::string_view help) override;
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const model::Label> labels, double value) override;

  const std::deque<Family>& families() const { return families_; }

 private:
  std::deque<Family> families_;
};

struct InstancePass {
  std::string instance;
  std::string module;  // of a probe, or empty
  RecordedPass pass;
};

// All of them as text: each family once, in the order in which they first come, each sample with the label `instance`,
// and `module` where there is one. A label of such a name of the sample's own becomes exported_<name>.
std::string merged_text(std::span<const InstancePass> passes, model::exposition::Format format);

}  // namespace qd::observe
