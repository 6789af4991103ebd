#include "observe/containers/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "observe/containers/containers.h"

namespace qd::observe::containers {

void Walk::list_children(int descriptor, std::size_t parent, Tree& tree) {
  while (true) {
    const auto got = ::syscall(SYS_getdents64, descriptor, entries_.data(), entries_.size());
    if (got <= 0) return;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      // The kernel aligns entries to 8 bytes, and struct dirent is its linux_dirent64 on 64-bit systems.
      const auto* entry = reinterpret_cast<const dirent*>(entries_.data() + at);
      at += entry->d_reclen;
      if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
      const std::string_view name = entry->d_name;
      // Mounts are cgroups of systemd that hold no process; cAdvisor leaves them out as well.
      if (name == "." || name == ".." || name.ends_with(".mount")) continue;
      struct stat status{};
      if (::fstatat(descriptor, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode)) continue;
      if (tree.nodes.size() >= kListedMax) return;
      Node node;
      node.begin = static_cast<std::uint32_t>(tree.text.size());
      const Node& above = tree.nodes[parent];
      node.depth = above.depth + 1;
      if (above.depth > 0) tree.text.append(tree.text, above.begin, above.size);
      tree.text += '/';
      tree.text += name;
      node.size = static_cast<std::uint32_t>(tree.text.size()) - node.begin;
      node.inode = status.st_ino;
      // A directory has a link of itself, one above it, and one of each directory in it. File systems that do not
      // count say 1.
      node.has_children = status.st_nlink != 2;
      tree.nodes.push_back(node);
    }
  }
}

int Walk::list(const std::string& root, Tree& tree) {
  tree.text = "/";
  tree.nodes.clear();
  tree.nodes.push_back({.begin = 0, .size = 1});
  for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
    const Node node = tree.nodes[i];
    if (!node.has_children || node.depth >= kDepthMax) continue;
    path_ = root;
    if (node.depth > 0) path_ += tree.path(node);
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
      if (i == 0) return errno;
      continue;
    }
    if (i == 0) {
      struct stat status{};
      if (::fstat(descriptor, &status) == 0) tree.nodes[0].inode = status.st_ino;
    }
    list_children(descriptor, i, tree);
    ::close(descriptor);
  }
  return 0;
}

void Walk::unite() {
  listed_.clear();
  for (const Tree& tree : trees_) {
    for (const Node& node : tree.nodes) listed_.push_back({tree.path(node), node.inode, node.depth});
  }
  // Of a cgroup in several hierarchies the first one's inode stands for it.
  std::ranges::stable_sort(listed_, {}, &Listed::path);
  const auto repeated = std::ranges::unique(listed_, {}, &Listed::path);
  listed_.erase(repeated.begin(), repeated.end());
}

int Walk::refresh(std::span<const std::string> roots) {
  std::swap(trees_, before_);
  trees_.resize(roots.size());
  int error = 0;
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const int failed = list(roots[i], trees_[i]);
    if (failed != 0) trees_[i].nodes.clear();
    if (i == 0) error = failed;
  }
  if (changes_ > 0 && trees_ == before_) {
    // The list has views into what is now the older of two equal trees.
    std::swap(trees_, before_);
  } else {
    ++changes_;
    unite();
  }
  return error;
}

}  // namespace qd::observe::containers
