// Settings, declared by each room next to the struct that they fill.
//
//   struct HostSettings { std::int64_t interval_ms = 15'000; std::string procfs = "/proc"; };
//
//   void declare(config::Schema& schema, HostSettings& host) {
//     schema.section("observe.host", "The machine that Quarterdeck runs on.");
//     schema.duration_ms("observe.host.interval", host.interval_ms, "How often the host is read.", 1000);
//     schema.text("observe.host.procfs", host.procfs, "Where procfs is mounted.").only_at_start();
//     schema.check("observe.host.procfs", [&] { return must_be_absolute(host.procfs); });
//   }
//
//   HostSettings host;
//   config::Schema schema;
//   declare(schema, host);
//   QD_TRY(schema.load(sources));
//
// The struct is made anew for each load, and a schema is loaded or bound once. The value that a field has when it is
// declared is its default. A path is dotted; each of its parts but the last is a mapping in the file. What is declared
// first is filled first, so that the default of a list's items may come from a setting declared above the list.
//
// Nothing is silently ignored: unknown keys, environment names and values of the wrong type are errors with their place
// and the cure, reported together (`kErrorsMax` at most). Fields that failed keep their defaults, so after an error
// the struct is to be thrown away.
//
// Not thread-safe. The fields, and what the functions capture, must stay in place until load or bind returned; after
// that the schema keeps only texts and may outlive them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "model/config/node.h"

namespace qd::model::config {

inline constexpr std::size_t kErrorsMax = 20;
inline constexpr std::string_view kEnvironmentPrefix = "QUARTERDECK_";

// Where values come from. Later ones override earlier: file, environment, sets, flags; a setting that is a list or a
// mapping is overridden as a whole.
struct Sources {
  // A flag of the command line that stands for a setting; `origin` is the flag as the user knows it.
  struct Flag {
    std::string origin;
    std::string path;
    std::string value;
  };

  std::optional<Node> file;
  // The whole environment. observe.host.procfs is QUARTERDECK_OBSERVE_HOST_PROCFS.
  std::map<std::string, std::string> environment;
  // Names with the prefix that are not settings but known elsewhere.
  std::vector<std::string> other_environment_names;
  // "path=value" as --set takes it.
  std::vector<std::string> sets;
  std::vector<Flag> flags;
  // Reads secrets written as file:/path; without it they are refused.
  base::Files* files = nullptr;
};

// The environment of the process (`environ`) as Sources takes it.
std::map<std::string, std::string> environment_of(const char* const* environment);

class Schema;

// One setting, as declared. Obtained from Schema, which owns it.
class Setting {
 public:
  // A changed value needs a restart; without this, a reload applies it.
  Setting& only_at_start();
  // What is shown of a text in force, where part of it may be a secret.
  Setting& shown_by(std::function<std::string(const std::string&)> show);
  // A value as one would write it, for the documentation.
  Setting& example(std::string text);
  // It has no useful default: an error where no source has it.
  Setting& required();

  const std::string& path() const { return path_; }
  const std::string& help() const { return help_; }
  const std::string& type() const { return type_; }  // as the documentation names it
  const std::string& default_text() const { return default_; }
  const std::string& example_text() const { return example_; }
  bool is_only_at_start() const { return only_at_start_; }
  bool is_required() const { return required_; }
  // For a list or a mapping: declares the settings of one item. False for others.
  bool describe_item(Schema& item) const;

 private:
  friend class Schema;
  friend class Loader;
  enum class Form { kScalar, kStrings, kTree };  // how a text from the environment becomes a node

  std::string path_;
  std::string help_;
  std::string type_;
  std::string default_;
  std::string example_;
  bool only_at_start_ = false;
  bool required_ = false;
  Form form_ = Form::kScalar;
  std::function<base::Status(const Node&, class Loader&)> fill_;
  std::function<Node()> show_;  // dropped once the effective value was taken
  std::function<void(Schema&)> describe_;
  Node effective_;
};

class Schema {
 public:
  Schema() = default;
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  // What a section is about, for the documentation.
  void section(std::string_view path, std::string_view help);

  Setting& flag(std::string_view path, bool& target, std::string_view help);
  Setting& text(std::string_view path, std::string& target, std::string_view help);
  Setting& integer(std::string_view path, std::int64_t& target, std::string_view help, std::int64_t min,
                   std::int64_t max);
  Setting& number(std::string_view path, double& target, std::string_view help,
                  double min = -std::numeric_limits<double>::infinity(),
                  double max = std::numeric_limits<double>::infinity());
  Setting& duration_ms(std::string_view path, std::int64_t& target, std::string_view help, std::int64_t min_ms = 0,
                       std::int64_t max_ms = std::numeric_limits<std::int64_t>::max());
  Setting& bytes(std::string_view path, std::uint64_t& target, std::string_view help, std::uint64_t min_bytes = 0,
                 std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max());
  Setting& choice(std::string_view path, std::string& target, std::vector<std::string> allowed, std::string_view help);
  // A list of texts. In the environment and in --set: separated by commas, or a YAML list in brackets.
  Setting& strings(std::string_view path, std::vector<std::string>& target, std::string_view help);
  // Never printed. file:/path is the content of that file without its last newline, env:NAME a variable of the
  // environment, anything else the secret itself. In bind() it is always the secret itself.
  Setting& secret(std::string_view path, std::string& target, std::string_view help);
  // Texts by free names, such as labels.
  Setting& text_map(std::string_view path, std::map<std::string, std::string>& target, std::string_view help);
  // The tree below a key as it is, for what has no fixed shape. It is not printed with the effective configuration.
  Setting& node(std::string_view path, Node& target, std::string_view help);

  // A list of mappings. `declare` is called for each item, which is filled before the next one: it adds an element to
  // the caller's list and declares that element's settings on `item`. render_reference calls it once without a file.
  Setting& list(std::string_view path, std::string_view help, std::function<void(Schema& item)> declare);
  // The same for a vector: it is cleared when a source has the list, and left alone by render_reference.
  template <typename T>
  Setting& list(std::string_view path, std::vector<T>& target, std::string_view help,
                std::function<void(Schema& item, std::type_identity_t<T>& element)> declare);
  // A mapping from free names to mappings, each declared like an item of a list.
  Setting& mapping(std::string_view path, std::string_view help,
                   std::function<void(std::string_view name, Schema& item)> declare);

  // Looks at values once all of this schema are filled. A failure is reported at `path` (a setting or a section), and
  // not at all where `path` itself has failed before.
  void check(std::string_view path, std::function<base::Status()> look);

  // For checks, and after loading. Whether a source has the setting or anything in the section.
  bool is_set(std::string_view path) const;
  // "file:line:col" of what stands there, or of the nearest around it.
  std::string where(std::string_view path) const;

  // Fills the fields from Quarterdeck's own sources.
  base::Status load(const Sources& sources);

  // After loading: every setting with its value as one tree, secrets as <secret>.
  Node effective() const;
  // Shows the only_at_start settings of this schema as `running` has them, and all of the section `also` where one is
  // named, and gives the paths of those that differed (secrets are not compared). Both are loaded; the fields stay as
  // they are.
  std::vector<std::string> keep_start_only(const Schema& running, std::string_view also = {});

  // In order of declaration.
  const std::deque<Setting>& settings() const { return settings_; }
  const std::map<std::string, std::string>& sections() const { return sections_; }

 private:
  friend class Loader;
  friend class Setting;
  friend base::Status bind(const Node& node, Schema& schema);

  struct Check {
    std::string path;
    std::function<base::Status()> look;
  };

  Setting& add(std::string_view path, std::string_view help, std::string type);
  std::string shown_path(std::string_view path) const;

  std::string prefix_;  // "targets[2]" in an item's schema
  bool describing_ = false;
  bool loaded_ = false;
  std::deque<Setting> settings_;
  std::map<std::string, Setting*, std::less<>> by_path_;
  std::map<std::string, std::string> sections_;  // path to help
  std::vector<Check> checks_;
  Location location_;                                    // of the mapping that was bound
  std::map<std::string, Location, std::less<>> places_;  // of settings and sections that a source has
  std::vector<std::shared_ptr<void>> kept_;
};

// Fills the fields from somebody else's file, such as Prometheus' scrape_configs: as strict about keys and types, but
// a key without a value keeps its default, and secrets are what is written.
base::Status bind(const Node& node, Schema& schema);

template <typename T>
Setting& Schema::list(std::string_view path, std::vector<T>& target, std::string_view help,
                      std::function<void(Schema& item, std::type_identity_t<T>& element)> declare) {
  auto begun = std::make_shared<bool>(false);
  return list(path, help, [&target, begun, declare = std::move(declare)](Schema& item) {
    if (item.describing_) {
      auto scratch = std::make_shared<T>();
      declare(item, *scratch);
      item.kept_.push_back(std::move(scratch));
      return;
    }
    if (!std::exchange(*begun, true)) target.clear();
    declare(item, target.emplace_back());
  });
}

}  // namespace qd::model::config
