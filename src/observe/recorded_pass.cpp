#include "observe/recorded_pass.h"

#include <unordered_map>

#include "model/exposition/writer.h"

namespace qd::observe {

void RecordedPass::family(std::string_view name, model::MetricType type, std::string_view help) {
  families_.push_back({.name = std::string(name), .type = type, .help = std::string(help), .samples = {}});
}

void RecordedPass::sample(std::string_view suffix, std::span<const model::Label> labels, double value) {
  auto& sample = families_.back().samples.emplace_back();
  sample.suffix = suffix;
  sample.labels.reserve(labels.size());
  for (const model::Label& label : labels) sample.labels.emplace_back(label.name, label.value);
  sample.value = value;
}

std::string merged_text(std::span<const InstancePass> passes, model::exposition::Format format) {
  struct Part {
    const RecordedPass::Family* family;
    const InstancePass* pass;
  };
  std::unordered_map<std::string_view, std::size_t> places;
  std::vector<std::vector<Part>> families;
  for (const InstancePass& one : passes) {
    for (const auto& family : one.pass.families()) {
      const auto [place, is_new] = places.try_emplace(family.name, families.size());
      if (is_new) families.emplace_back();
      families[place->second].push_back({&family, &one});
    }
  }
  std::string out;
  model::exposition::TextWriter writer(out, format);
  std::vector<model::Label> labels;
  for (const auto& parts : families) {
    const auto& first = *parts.front().family;
    writer.family(first.name, first.type, first.help);
    for (const Part& part : parts) {
      for (const auto& sample : part.family->samples) {
        labels.clear();
        labels.push_back({"instance", part.pass->instance});
        if (!part.pass->module.empty()) labels.push_back({"module", part.pass->module});
        for (const auto& [name, value] : sample.labels) {
          std::string_view told = name;
          if (name == "instance") told = "exported_instance";
          if (name == "module" && !part.pass->module.empty()) told = "exported_module";
          labels.push_back({told, value});
        }
        writer.sample(first.name + sample.suffix, labels, sample.value);
      }
    }
  }
  writer.finish();
  return out;
}

}  // namespace qd::observe
