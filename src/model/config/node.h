// A configuration file as a tree of values that know where they stand.
//
// A Node is an immutable value: copies share the tree, any thread may read it. Aliases (`*name`) share what they stand
// for and keep its place; merge keys (`<<`) are already resolved, a key of the mapping itself before a merged one.
//
// Source: YAML 1.2.2, core schema; merge keys and the words yes, no, on and off as YAML 1.1 has them, because the files
// of Prometheus and Compose use them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace qd::model::config {

struct Location {
  std::shared_ptr<const std::string> file;  // or "--set", "environment X": where the value was written
  std::uint32_t line = 0;                   // from 1; 0 where lines make no sense
  std::uint32_t column = 0;                 // from 1, in characters
  std::string to_string() const;            // "file:line:col", "file", or "" when it is not known
};

class Node {
 public:
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  // A quoted scalar is a text whatever it looks like; a plain one may be read as a number, a flag, ...
  enum class Style { kPlain, kQuoted };
  struct Entry;

  // Nothing, from nowhere.
  Node();
  static Node null(Location location);
  static Node scalar(std::string text, Style style = Style::kPlain, Location location = {});
  static Node sequence(std::vector<Node> items, Location location = {});
  // The keys are scalars, each once.
  static Node mapping(std::vector<Entry> entries, Location location = {});

  Kind kind() const;
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_scalar() const { return kind() == Kind::kScalar; }
  bool is_sequence() const { return kind() == Kind::kSequence; }
  bool is_mapping() const { return kind() == Kind::kMapping; }

  // Empty for other kinds.
  const std::string& text() const;
  Style style() const;
  std::span<const Node> items() const;
  std::span<const Entry> entries() const;
  // The value of a key, or nullptr. Linear in the number of keys.
  const Node* find(std::string_view key) const;

  // How many nodes there are, this one and those that aliases repeat included, and how deep they nest (1 for a leaf).
  std::size_t weight() const;
  std::size_t depth() const;

  const Location& location() const;
  // "file:line:col: `what`".
  base::Error error(std::string_view what) const;

  // Every error says where, what was expected and what stands there.
  base::Result<std::string> as_string() const;
  base::Result<bool> as_bool() const;
  base::Result<std::int64_t> as_int() const;
  base::Result<double> as_double() const;
  base::Result<std::int64_t> as_duration_ms() const;
  base::Result<std::uint64_t> as_bytes() const;

 private:
  struct Data;
  explicit Node(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  base::Result<std::string_view> scalar_text(std::string_view expected) const;

  std::shared_ptr<const Data> data_;
};

struct Node::Entry {
  Node key;
  Node value;
};

// "nothing", "a list", "a mapping", or the scalar itself, as an error shows what it found.
std::string describe(const Node& node);

inline constexpr std::size_t kYamlBytesMax = 10 * 1024 * 1024;
inline constexpr std::size_t kYamlNodesMax = 500'000;  // with what aliases and merge keys repeat
inline constexpr std::size_t kYamlDepthMax = 64;

// Reads the one document in `text`; an empty one is null. `file_name` is only what errors and locations show.
// Refused: more than one document, a key that stands twice, keys that are not scalars, tags beyond those of the core
// schema, text that is not UTF-8, and what passes the limits above.
base::Result<Node> parse_yaml(std::string_view text, std::string_view file_name);

}  // namespace qd::model::config
