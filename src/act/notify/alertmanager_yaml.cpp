#include "act/notify/alertmanager_yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <span>
#include <utility>

#include "act/notify/alertmanager_fields.h"
#include "act/notify/alertmanager_intervals.h"
#include "act/notify/alertmanager_matchers.h"
#include "base/strings.h"
#include "model/labels.h"
#include "model/template/template.h"

namespace qd::act::notify {

using base::ErrorCode;
using model::config::Node;

namespace {

constexpr std::size_t kFaultsShown = 50;

// Of a receiver of one kind, keys of which one must be there; of the global section, those that may stand for them.
struct Need {
  std::string_view configs;
  std::string_view any_of;  // with blanks between
  std::string_view or_global;
  std::string_view says;
};
constexpr Need kNeeds[] = {
    {"discord_configs", "webhook_url webhook_url_file", "", "a webhook_url"},
    {"email_configs", "to", "", "an address: to"},
    {"email_configs", "smarthost", "smtp_smarthost", "a smarthost, or global smtp_smarthost"},
    {"email_configs", "from", "smtp_from", "a sender: from, or global smtp_from"},
    {"incidentio_configs", "url url_file", "", "a url"},
    {"jira_configs", "api_url", "jira_api_url", "an api_url, or global jira_api_url"},
    {"jira_configs", "project", "", "a project"},
    {"jira_configs", "issue_type", "", "an issue_type"},
    {"mattermost_configs", "webhook_url webhook_url_file", "", "a webhook_url"},
    {"msteams_configs", "webhook_url webhook_url_file", "", "a webhook_url"},
    {"msteamsv2_configs", "webhook_url webhook_url_file", "", "a webhook_url"},
    {"opsgenie_configs", "api_key api_key_file", "opsgenie_api_key opsgenie_api_key_file",
     "an api_key, or global opsgenie_api_key"},
    {"pagerduty_configs", "routing_key routing_key_file service_key service_key_file", "",
     "a routing_key or a service_key"},
    {"pushover_configs", "user_key user_key_file", "", "a user_key"},
    {"pushover_configs", "token token_file", "", "a token"},
    {"rocketchat_configs", "token token_file", "rocketchat_token rocketchat_token_file",
     "a token, or global rocketchat_token"},
    {"rocketchat_configs", "token_id token_id_file", "rocketchat_token_id rocketchat_token_id_file",
     "a token_id, or global rocketchat_token_id"},
    {"slack_configs", "api_url api_url_file app_token app_token_file",
     "slack_api_url slack_api_url_file slack_app_token slack_app_token_file", "an api_url, or global slack_api_url"},
    {"sns_configs", "target_arn topic_arn phone_number", "", "a target_arn, a topic_arn or a phone_number"},
    {"telegram_configs", "bot_token bot_token_file", "telegram_bot_token telegram_bot_token_file", "a bot_token"},
    {"telegram_configs", "chat_id chat_id_file", "", "a chat_id"},
    {"victorops_configs", "api_key api_key_file", "victorops_api_key victorops_api_key_file",
     "an api_key, or global victorops_api_key"},
    {"victorops_configs", "routing_key", "", "a routing_key"},
    {"webex_configs", "room_id", "", "a room_id"},
    {"webhook_configs", "url url_file", "", "a url"},
    {"wechat_configs", "api_secret api_secret_file", "wechat_api_secret wechat_api_secret_file",
     "an api_secret, or global wechat_api_secret"},
    {"wechat_configs", "corp_id", "wechat_api_corp_id", "a corp_id, or global wechat_api_corp_id"},
};

// What a file may give as well as the configuration, and never both.
constexpr std::string_view kOrFile[] = {
    "slack_api_url", "opsgenie_api_key", "victorops_api_key", "smtp_auth_password", "telegram_bot_token",
    "api_url",       "api_key",          "auth_password",     "bot_token",          "user_key",
    "token",         "routing_key",      "service_key",       "webhook_url",        "url",
    "password",      "credentials",      "client_secret"};

bool given(const Node* node) {
  return node != nullptr && !node->is_null() && !(node->is_scalar() && node->text().empty());
}

bool has_any(const Node* node, std::string_view keys) {
  if (node == nullptr || keys.empty()) return false;
  const auto names = base::split(keys, ' ');
  return std::ranges::any_of(names, [&](std::string_view key) { return given(node->find(key)); });
}

// The children of a list; none where it is not one, which the fields have told then.
std::span<const Node> list_of(const Node& node, std::string_view key) {
  const Node* const list = node.find(key);
  return list == nullptr ? std::span<const Node>() : list->items();
}

std::string text_of(const Node& node, std::string_view key) {
  const Node* const value = node.find(key);
  return value == nullptr ? std::string() : value->text();
}

class Checker {
 public:
  AlertmanagerYaml summary;

  void file(const Node& root) {
    section(root, "the file");
    global_ = root.find("global");
    for (const Node& receiver : list_of(root, "receivers")) this->receiver(receiver);
    for (const std::string_view key : {"mute_time_intervals", "time_intervals"}) {
      list(root, key, "a list of time intervals");
      for (const Node& interval : list_of(root, key)) time_interval(interval);
    }
    const Node* const route = root.find("route");
    if (route == nullptr || route->is_null()) {
      fault(root, "there is no route: it says which alerts go to which receiver");
    } else {
      this->route(*route, true);
    }
    list(root, "inhibit_rules", "a list of inhibit rules");
    for (const Node& rule : list_of(root, "inhibit_rules")) inhibit_rule(rule);
    for (const Node& pattern : list_of(root, "templates")) {
      if (pattern.is_scalar()) summary.templates.push_back(pattern.text());
    }
  }

  base::Status result() const {
    if (faults_.empty()) return {};
    std::string all;
    for (const std::string& one : faults_) all.append(all.empty() ? "" : "\n").append(one);
    return base::fail(ErrorCode::kInvalid, std::move(all));
  }

 private:
  void fault(const Node& node, std::string_view what) { fault(node.error(what).message()); }
  void fault(std::string message) {
    if (faults_.size() < kFaultsShown) {
      faults_.push_back(std::move(message));
    } else if (faults_.size() == kFaultsShown) {
      faults_.emplace_back("there are more errors");
    }
  }
  template <typename T>
  void right(const base::Result<T>& value) {
    if (!value) fault(value.error().message());
  }

  void list(const Node& node, std::string_view key, std::string_view what) {
    const Node* const value = node.find(key);
    if (value != nullptr && !value->is_null() && !value->is_sequence())
      fault(*value, fmt::format("{} is {}, but here stands {}", key, what, describe(*value)));
  }

  // Every key is one of the section's, and has what it takes.
  void section(const Node& node, std::string_view name, std::string_view shown = {}) {
    if (shown.empty()) shown = name;
    if (node.is_null()) return;
    if (!node.is_mapping())
      return fault(node, fmt::format("{} is a mapping, but here stands {}", shown, describe(node)));
    const auto fields = base::split(fields_of(name), ' ');
    for (const Node::Entry& entry : node.entries()) {
      const std::string& key = entry.key.text();
      const auto field =
          std::ranges::find_if(fields, [&](std::string_view one) { return one.substr(0, one.find(':')) == key; });
      if (field != fields.end()) {
        if (!entry.value.is_null()) value(entry.value, key, field->substr(key.size() + 1));
        continue;
      }
      std::vector<std::string> names;
      names.reserve(fields.size());
      for (const std::string_view one : fields) names.emplace_back(one.substr(0, one.find(':')));
      const auto near = base::nearest(key, names);
      fault(entry.key, fmt::format("unknown key {} in {}{}", key, shown, near ? "; did you mean " + *near + "?" : ""));
    }
    for (const std::string_view key : kOrFile) {
      if (given(node.find(key)) && given(node.find(std::string(key) + "_file")))
        fault(node, fmt::format("{} and {}_file are both given: one of them", key, key));
    }
    details(node, name);
  }

  // What keys of a section ask of each other or of their values.
  void details(const Node& node, std::string_view name) {
    const auto one_of = [&](std::string_view key, std::initializer_list<std::string_view> choices) {
      const Node* const value = node.find(key);
      if (!given(value) || value->text().find("{{") != std::string::npos) return;
      if (std::ranges::find(choices, value->text()) == choices.end())
        fault(*value, fmt::format("{} is one of {}", key, fmt::join(choices, ", ")));
    };
    if (name == "http_config") {
      int ways = has_any(&node, "bearer_token bearer_token_file") ? 1 : 0;
      for (const std::string_view way : {"basic_auth", "authorization", "oauth2"})
        ways += given(node.find(way)) ? 1 : 0;
      if (ways > 1) fault(node, "one of basic_auth, authorization, oauth2 and bearer_token at most");
    } else if (name == "slack_field") {
      if (!given(node.find("title")) || !given(node.find("value"))) fault(node, "a field has title and value");
    } else if (name == "opsgenie_responder") {
      if (!has_any(&node, "id name username")) fault(node, "a responder has an id, a name or a username");
      one_of("type", {"team", "teams", "user", "escalation", "schedule"});
    } else if (name == "telegram_config") {
      one_of("parse_mode", {"Markdown", "MarkdownV2", "HTML"});
    } else if (name == "email_config" || name == "global") {
      const Node* const host = node.find(name == "global" ? "smtp_smarthost" : "smarthost");
      if (!given(host) || !host->is_scalar()) return;
      const std::size_t colon = host->text().rfind(':');
      if (colon == std::string::npos || colon + 1 == host->text().size())
        fault(*host, fmt::format("{} has no port: write HOST:PORT", base::quote(host->text())));
    }
  }

  void value(const Node& node, std::string_view key, std::string_view type) {
    switch (type.front()) {
      case 't':
        return right(node.as_string());
      case 'f':
        return right(node.as_bool());
      case 'i':
        return right(node.as_int());
      case 'd':
        return right(node.as_duration_ms());
      case 'u':
        return url(node, key);
      case 'm':
        if (!node.is_mapping())
          return fault(node, fmt::format("{} is a mapping, but here stands {}", key, describe(node)));
        for (const Node::Entry& entry : node.entries()) right(entry.value.as_string());
        return;
      case 'l':
        if (!node.is_sequence())
          return fault(node, fmt::format("{} is a list, but here stands {}", key, describe(node)));
        for (const Node& item : node.items()) right(item.as_string());
        return;
      case '{':
        return section(node, type.substr(1), key);
      case '[':
        if (!node.is_sequence())
          return fault(node, fmt::format("{} is a list, but here stands {}", key, describe(node)));
        for (const Node& item : node.items()) section(item, type.substr(1), fmt::format("one of {}", key));
        return;
      default:
        return;
    }
  }

  void url(const Node& node, std::string_view key) {
    const auto text = node.as_string();
    if (!text) return right(text);
    const std::size_t scheme = text->find("://");
    const std::string_view kind = std::string_view(*text).substr(0, std::min(scheme, text->size()));
    const bool ok = scheme != std::string::npos && scheme + 3 < text->size() && (*text)[scheme + 3] != '/' &&
                    (kind == "http" || kind == "https" || (key == "proxy_url" && kind == "socks5"));
    // What a template makes of it is known only when it is sent.
    if (!ok && text->find("{{") == std::string::npos)
      fault(node, fmt::format("{} is no URL: write http://HOST/… or https://HOST/…", base::quote(*text)));
  }

  void receiver(const Node& node) {
    if (!node.is_mapping()) return;
    ++summary.receivers;
    const std::string name = text_of(node, "name");
    if (name.empty())
      fault(node, "a receiver without a name");
    else if (!receivers_.insert(name).second)
      fault(node, fmt::format("the receiver {} is there twice", base::quote(name)));
    for (const Need& need : kNeeds) {
      for (const Node& config : list_of(node, need.configs)) {
        if (has_any(&config, need.any_of) || has_any(global_, need.or_global)) continue;
        fault(config.is_null() ? node : config,
              fmt::format("one of {} of the receiver {} needs {}", need.configs, base::quote(name), need.says));
      }
    }
    for (const Node& config : list_of(node, "webex_configs")) {
      const Node* const http = config.find("http_config");
      if (http == nullptr || !given(http->find("authorization")))
        fault(config, "webex needs http_config with authorization");
    }
  }

  void time_interval(const Node& node) {
    section(node, "a time interval");
    if (!node.is_mapping()) return;
    ++summary.time_intervals;
    const std::string name = text_of(node, "name");
    if (name.empty())
      fault(node, "a time interval without a name");
    else if (!intervals_.insert(name).second)
      fault(node, fmt::format("the time interval {} is there twice", base::quote(name)));
    for (const Node& times : list_of(node, "time_intervals"))
      check_times(times, [&](const Node& at, std::string_view what) { fault(at, what); });
  }

  void label_name(const Node& node, std::string_view name, std::string_view where) {
    if (!model::valid_label_name(name)) fault(node, fmt::format("{} in {} is no label name", base::quote(name), where));
  }

  void matching(const Node& node, std::string_view equal, std::string_view regex, std::string_view matchers) {
    for (const std::string_view key : {equal, regex}) {
      const Node* const map = node.find(key);
      if (map == nullptr) continue;
      for (const Node::Entry& entry : map->entries()) {
        label_name(entry.key, entry.key.text(), key);
        if (key != regex) continue;
        if (const auto good = matcher_of(entry.key.text() + "=~" + base::quote(entry.value.text())); !good)
          fault(entry.value, good.error().message());
      }
    }
    for (const Node& text : list_of(node, matchers)) {
      if (const auto good = matchers_of(text.text()); !good) fault(text, good.error().message());
    }
  }

  void route(const Node& node, bool root) {
    section(node, "a route");
    if (!node.is_mapping()) return;
    ++summary.routes;
    const Node* const receiver = node.find("receiver");
    if (given(receiver)) {
      if (!receivers_.contains(receiver->text())) {
        const auto near = base::nearest(receiver->text(), std::vector(receivers_.begin(), receivers_.end()));
        fault(*receiver, fmt::format("there is no receiver {}{}", base::quote(receiver->text()),
                                     near ? "; did you mean " + *near + "?" : ""));
      }
    } else if (root) {
      fault(node, "the root route needs a receiver: it takes what no other route does");
    }
    matching(node, "match", "match_re", "matchers");
    if (root) {
      for (const std::string_view key : {"match", "match_re", "matchers"}) {
        const Node* const its = node.find(key);
        if (its != nullptr && (!its->entries().empty() || !its->items().empty()))
          fault(*its, fmt::format("the root route takes every alert: it has no {}", key));
      }
      for (const std::string_view key : {"mute_time_intervals", "active_time_intervals"}) {
        if (const Node* const its = node.find(key); its != nullptr && !its->items().empty())
          fault(*its, fmt::format("the root route always holds: it has no {}", key));
      }
    }
    group_by(node);
    for (const std::string_view key : {"group_interval", "repeat_interval"}) {
      const Node* const interval = node.find(key);
      if (interval == nullptr) continue;
      if (const auto ms = interval->as_duration_ms(); ms && *ms == 0)
        fault(*interval, fmt::format("{} is above zero", key));
    }
    for (const std::string_view key : {"mute_time_intervals", "active_time_intervals"}) {
      for (const Node& name : list_of(node, key)) {
        if (intervals_.contains(name.text())) continue;
        const auto near = base::nearest(name.text(), std::vector(intervals_.begin(), intervals_.end()));
        fault(name, fmt::format("there is no time interval {}{}", base::quote(name.text()),
                                near ? "; did you mean " + *near + "?" : ""));
      }
    }
    list(node, "routes", "a list of routes");
    for (const Node& child : list_of(node, "routes")) route(child, false);
  }

  void group_by(const Node& node) {
    std::set<std::string> labels;
    bool all = false;
    for (const Node& label : list_of(node, "group_by")) {
      if (label.text() == "...") {
        all = true;
        continue;
      }
      label_name(label, label.text(), "group_by");
      if (!labels.insert(label.text()).second) fault(label, fmt::format("group_by names {} twice", label.text()));
    }
    if (all && !labels.empty()) fault(*node.find("group_by"), "... groups by every label: name no others beside it");
  }

  void inhibit_rule(const Node& node) {
    section(node, "an inhibit rule");
    matching(node, "source_match", "source_match_re", "source_matchers");
    matching(node, "target_match", "target_match_re", "target_matchers");
    for (const Node& label : list_of(node, "equal")) label_name(label, label.text(), "equal");
    ++summary.inhibit_rules;
  }

  const Node* global_ = nullptr;
  std::set<std::string> receivers_;
  std::set<std::string> intervals_;
  std::vector<std::string> faults_;
};

}  // namespace

base::Result<AlertmanagerYaml> check_alertmanager_yaml(const Node& node, const std::filesystem::path& file) {
  Checker checker;
  checker.file(node);
  QD_TRY(checker.result());
  for (std::string& pattern : checker.summary.templates) pattern = (file.parent_path() / pattern).native();
  return std::move(checker.summary);
}

base::Status check_notification_template(const std::string& name, std::string_view text) {
  // What Alertmanager's templates may call. None runs: they are only to be known.
  constexpr std::string_view kFunctions[] = {
      "toUpper",      "toLower",     "title", "trimSpace",        "join", "match", "safeHtml", "safeUrl", "urlUnescape",
      "reReplaceAll", "stringSlice", "since", "humanizeDuration", "date", "tz",    "toJson",   "list",    "append",
      "dict"};
  model::tmpl::Functions functions;
  for (const std::string_view function : kFunctions) {
    functions.emplace(function, [](std::span<const model::tmpl::Value>) -> base::Result<model::tmpl::Value> {
      return base::fail(ErrorCode::kInvalid, "it is not run here");
    });
  }
  const auto parsed = model::tmpl::Template::parse(name, text, std::move(functions));
  if (!parsed) return base::fail(parsed.error());
  return {};
}

}  // namespace qd::act::notify
