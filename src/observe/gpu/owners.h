// Whose processes use a GPU: a process's name, and the container that it is in.
#pragma once

#include <cstdint>
#include <string>

#include "observe/container.h"
#include "observe/kept_file.h"

namespace qd::observe::gpu {

struct Owner {
  std::string process;    // its name; empty when it is gone, or not to be seen here
  std::string container;  // its name, or its id where no engine that is asked knows it; empty for none
  std::string pod;        // of Kubernetes
  std::string name_space;
  bool operator==(const Owner&) const = default;
};

// Not thread-safe.
class Owners {
 public:
  explicit Owners(std::string procfs) : procfs_(std::move(procfs)) {}

  // `pid` is as the machine's /proc has it. Of a process that is gone all is empty.
  Owner of(std::uint32_t pid, const ContainerList& containers);

 private:
  const std::string procfs_;
  FileReader reader_{0};
};

}  // namespace qd::observe::gpu
