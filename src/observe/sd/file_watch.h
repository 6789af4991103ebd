// Whether files that people edit have changed.
//
// Looks at names, sizes, times and inodes, and not at events of the kernel: that also sees what is mounted from
// elsewhere, the swapped links of a Kubernetes ConfigMap, and a file that appears where there was none. A look costs a
// system call a file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qd::observe::sd {

// Files that one pattern may name.
inline constexpr std::size_t kFilesMax = 10'000;

// Those that a pattern of the last part of a path names, sorted.
std::vector<std::string> matching_files(const std::string& pattern);

// Differs when any of the files that the patterns name has changed, come or gone.
std::uint64_t fingerprint(std::span<const std::string> patterns);

}  // namespace qd::observe::sd
