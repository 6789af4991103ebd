#include "observe/containers/labels.h"

#include <algorithm>

#include "observe/utf8.h"

namespace qd::observe::containers {
namespace {

constexpr std::string_view kLabelPrefix = "container_label_";
constexpr std::string_view kEnvironmentPrefix = "container_env_";

std::string label_name(std::string_view prefix, std::string_view key) {
  std::string name(prefix);
  for (const char c : key) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += fits ? c : '_';
  }
  return name;
}

// Cuts at a character's start.
std::string_view within(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

LabelChoice::Chosen chosen(std::string_view prefix, const std::vector<std::string>& keys) {
  LabelChoice::Chosen names;
  for (const std::string& key : keys) names.emplace_back(key, label_name(prefix, key));
  return names;
}

}  // namespace

LabelChoice::LabelChoice(const Options& options)
    : all_(options.labels == std::vector<std::string>{"all"}),
      labels_(all_ ? Chosen() : chosen(kLabelPrefix, options.labels)),
      environment_(chosen(kEnvironmentPrefix, options.environment)) {}

void CgroupLabels::add(std::string name, std::string_view value) {
  if (value.empty()) return;
  std::string text(within(value, kLabelValueBytesMax));
  make_utf8(text);
  texts_.emplace_back(std::move(name), std::move(text));
}

void CgroupLabels::set(std::string_view path, const Container* container, const LabelChoice& choice) {
  texts_.clear();
  add("id", path);
  if (container != nullptr) {
    add("name", container->name);
    add("image", container->image);
    const auto add_chosen = [&](const LabelChoice::Chosen& keys, const std::map<std::string, std::string>& from) {
      for (const auto& [key, name] : keys) {
        if (const auto found = from.find(key); found != from.end()) add(name, found->second);
      }
    };
    add_chosen(choice.labels(), container->labels);
    add_chosen(choice.environment(), container->environment);
    if (choice.all()) {
      const std::size_t most = texts_.size() + kLabelsMax;
      for (const auto& [key, value] : container->labels) {
        if (texts_.size() < most) add(label_name(kLabelPrefix, key), value);
      }
    }
  }
  // Keys that differ in a sign only have one name: the first is told.
  std::ranges::stable_sort(texts_, {}, [](const auto& text) -> const std::string& { return text.first; });
  const auto repeated =
      std::ranges::unique(texts_, {}, [](const auto& text) -> const std::string& { return text.first; });
  texts_.erase(repeated.begin(), repeated.end());
  labels_.clear();
  for (const auto& [name, value] : texts_) labels_.push_back({name, value});
}

}  // namespace qd::observe::containers
