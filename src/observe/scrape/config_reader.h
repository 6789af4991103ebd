// What the readers of the Prometheus file's sections share: keys to values, faults with their places. Private to this
// room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config/node.h"
#include "model/relabel.h"

namespace qd::observe::scrape {

class Reader {
 public:
  using Node = model::config::Node;
  using Take = std::function<void(const Node&)>;
  using Keys = std::map<std::string, Take>;

  // Paths in the file are relative to its folder.
  explicit Reader(const std::filesystem::path& file) : dir_(file.parent_path()) {}

  void fault(const Node& node, std::string_view what);
  void fault(std::string message);
  void warn(const Node& node, std::string_view what);
  void warn_text(std::string message);
  // All faults, one a line.
  base::Status result() const;
  std::vector<std::string> take_warnings() { return std::move(warnings_); }

  template <typename T>
  void put(base::Result<T> value, T& into) {
    if (value) {
      into = std::move(*value);
    } else {
      fault(value.error().message());
    }
  }
  Take text(std::string& into);
  Take flag(bool& into);
  Take duration(std::int64_t& into);
  // Above zero.
  Take interval(std::int64_t& into);
  Take number(std::uint64_t& into);
  Take port(std::uint16_t& into);
  Take path(std::string& into);
  Take texts(std::string what, std::vector<std::string>& into);
  Take paths(std::string what, std::vector<std::string>& into);
  Take text_map(std::string what, std::map<std::string, std::string>& into);
  Take relabel_configs(std::string what, std::vector<model::RelabelConfig>& into, model::NameScheme scheme);
  // One of `choices`.
  Take choice(std::string& into, std::vector<std::string> choices);
  // Valid where it is of the right form, and nothing more.
  Take any() const;

  // Every key is known; `what` names the mapping in faults.
  void mapping(const Node& node, const std::string& what, const Keys& keys);
  void each(const Node& node, const std::string& what, const Take& take);
  void labels(const Node& node, const std::string& what, std::map<std::string, std::string>& into, bool expand);
  std::string resolve(const std::string& name) const;
  const std::filesystem::path& dir() const { return dir_; }

 private:
  void relabel_config(const Node& node, const std::string& what, std::vector<model::RelabelConfig>& into,
                      model::NameScheme scheme);

  static constexpr std::size_t kErrorsShown = 50;

  const std::filesystem::path dir_;
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

// Whether `text` is an http or https URL with a host; else what is wrong.
base::Status check_http_url(std::string_view text);

}  // namespace qd::observe::scrape
