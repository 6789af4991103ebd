#include "observe/probe/samples.h"

#include "observe/utf8.h"

namespace qd::observe::probe {

double& Samples::at(const FamilyInfo& family, Labels labels) {
  for (auto& label : labels) make_utf8(label.second);
  auto& here = families_[family.name];
  here.info = &family;
  return here.samples[std::move(labels)];
}

void Samples::set(const FamilyInfo& family, double value, Labels labels) {
  at(family, std::move(labels)) = value;
}

void Samples::add(const FamilyInfo& family, double value, Labels labels) {
  at(family, std::move(labels)) += value;
}

std::optional<double> Samples::get(const FamilyInfo& family, const Labels& labels) const {
  const auto found = families_.find(family.name);
  if (found == families_.end()) return std::nullopt;
  const auto sample = found->second.samples.find(labels);
  return sample == found->second.samples.end() ? std::nullopt : std::optional(sample->second);
}

void Samples::tell(Sink& sink) const {
  std::vector<model::Label> labels;
  for (const auto& [name, family] : families_) {
    sink.family(name, family.info->type, family.info->help);
    for (const auto& [own, value] : family.samples) {
      labels.clear();
      for (const auto& label : own) labels.push_back({label.first, label.second});
      sink.sample(labels, value);
    }
  }
}

}  // namespace qd::observe::probe
