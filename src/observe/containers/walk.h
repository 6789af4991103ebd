// The cgroups that there are, listed by the directories of their hierarchies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe::containers {

// A cgroup in the list. The path is as cAdvisor shows it: "/", "/docker/<id>".
struct Listed {
  std::string_view path;
  std::uint64_t inode = 0;  // another one under the same path is another cgroup
  std::uint32_t depth = 0;  // 0 for "/"
};

// Not thread-safe. A refresh over an unchanged machine allocates nothing.
class Walk {
 public:
  // Directories beyond these are not looked for: a machine of which this is too little is counted as having more.
  static constexpr std::size_t kListedMax = 65'536;

  // Lists what is below `roots`. 0, or the errno that kept the first of them from being read.
  int refresh(std::span<const std::string> roots);

  // By path, each once; valid until the next refresh.
  std::span<const Listed> listed() const { return listed_; }
  // Grows whenever listed() is another than before.
  std::uint64_t changes() const { return changes_; }

 private:
  struct Node {
    std::uint32_t begin = 0;  // its path in the tree's text
    std::uint32_t size = 0;
    std::uint32_t depth = 0;
    bool has_children = true;
    std::uint64_t inode = 0;
    bool operator==(const Node&) const = default;
  };
  struct Tree {
    std::string text;
    std::vector<Node> nodes;
    std::string_view path(const Node& node) const { return std::string_view(text).substr(node.begin, node.size); }
    bool operator==(const Tree&) const = default;
  };

  int list(const std::string& root, Tree& tree);
  void list_children(int descriptor, std::size_t parent, Tree& tree);
  void unite();

  std::vector<Tree> trees_;
  std::vector<Tree> before_;
  std::vector<Listed> listed_;
  std::vector<char> entries_ = std::vector<char>(64 << 10);
  std::string path_;
  std::uint64_t changes_ = 0;
};

}  // namespace qd::observe::containers
