// One run of filling a schema: finds what each source says, reports what is wrong. Private to this room.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config/node.h"
#include "model/config/schema.h"

namespace qd::model::config {

class Loader {
 public:
  // Without sources the file is somebody else's, and bind()'s rules hold.
  explicit Loader(const Sources* sources) : sources_(sources) {}

  // Fills `schema` from a mapping (or nothing) at `location`, with `overrides` by path; items of lists come here too.
  void fill(Schema& schema, const Node& node, const std::map<std::string, Node>& overrides);
  // The environment, --set and flags, as nodes by path, the strongest of each.
  std::map<std::string, Node> overrides(const Schema& schema);

  bool is_foreign() const { return sources_ == nullptr; }
  base::Result<std::string> resolve_secret(const std::string& written) const;

  void report(const Location& location, std::string_view what);
  std::size_t error_count() const { return count_; }
  base::Status result() const;

 private:
  struct Problem {
    Location location;
    std::string message;
  };

  void find_values(Schema& schema, const Node& mapping, const std::string& section, std::map<std::string, Node>& found);
  void report_unknown_key(const Schema& schema, const Node& key, const std::string& section);
  void fill_setting(Schema& schema, Setting& setting, const Node& value, std::set<std::string>& failed);
  void run_checks(Schema& schema, const std::set<std::string>& failed);
  void add_override(const Schema& schema, const std::string& origin, const std::string& path, const std::string& value,
                    std::map<std::string, Node>& into);

  const Sources* sources_;
  std::vector<Problem> problems_;
  std::size_t count_ = 0;  // with those past the limit
};

}  // namespace qd::model::config
