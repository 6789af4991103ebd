// The labels that all samples of a cgroup have: id, and of a container that the engine knows its name, image, and what
// was chosen of its labels and environment.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/labels.h"
#include "observe/container.h"
#include "observe/containers/containers.h"

namespace qd::observe::containers {

// Of a container's labels, with "all" chosen; and of a label's value. What is beyond is not told.
inline constexpr std::size_t kLabelsMax = 64;
inline constexpr std::size_t kLabelValueBytesMax = 1024;

class LabelChoice {
 public:
  explicit LabelChoice(const Options& options);

  bool all() const { return all_; }
  // Keys as the engine has them, and names as they are told.
  using Chosen = std::vector<std::pair<std::string, std::string>>;
  const Chosen& labels() const { return labels_; }
  const Chosen& environment() const { return environment_; }

 private:
  bool all_ = false;
  Chosen labels_;
  Chosen environment_;
};

class CgroupLabels {
 public:
  // `container` is null for what the engine does not know.
  void set(std::string_view path, const Container* container, const LabelChoice& choice);

  // In order of names. A value that is empty is left out, which is the same.
  std::span<const model::Label> all() const { return labels_; }

 private:
  void add(std::string name, std::string_view value);

  std::vector<std::pair<std::string, std::string>> texts_;
  std::vector<model::Label> labels_;
};

}  // namespace qd::observe::containers
