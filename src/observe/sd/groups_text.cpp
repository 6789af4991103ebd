#include "observe/sd/groups_text.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/strings.h"
#include "model/config/node.h"
#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

using base::ErrorCode;
namespace json = boost::json;

namespace {

constexpr std::size_t kDepthMax = 8;

// A group as it is being read, from either form.
struct Group {
  model::LabelBuilder labels;
  TargetGroup out;

  base::Status add_target(std::string_view address, std::size_t& count) {
    if (++count > kTargetsMax) return base::fail(ErrorCode::kLimit, fmt::format("more than {} targets", kTargetsMax));
    out.targets.push_back(model::LabelSet{{"__address__", address}});
    return {};
  }
  base::Status add_label(std::string_view name, std::string_view value) {
    if (name.empty() || !base::valid_utf8(name))
      return base::fail(ErrorCode::kInvalid, fmt::format("{} is no label name", base::quote(name)));
    labels.set(name, value);
    return {};
  }
  TargetGroup finish(const std::string& from, std::string_view from_label, std::size_t index) {
    labels.set(from_label, from);
    out.labels = labels.build();
    out.source = fmt::format("{}:{}", from, index);
    return std::move(out);
  }
};

std::string_view text_of(const json::string& text) {
  return {text.data(), text.size()};
}

base::Status read_targets(const json::value& value, Group& group, std::size_t& count) {
  if (value.is_null()) return {};
  if (!value.is_array()) return base::fail(ErrorCode::kInvalid, "targets is a list");
  for (const json::value& target : value.as_array()) {
    if (!target.is_string()) return base::fail(ErrorCode::kInvalid, "a target is a text");
    QD_TRY(group.add_target(text_of(target.as_string()), count));
  }
  return {};
}

base::Status read_labels(const json::value& value, Group& group) {
  if (value.is_null()) return {};
  if (!value.is_object()) return base::fail(ErrorCode::kInvalid, "labels is a mapping");
  for (const auto& [name, text] : value.as_object()) {
    if (!text.is_string())
      return base::fail(ErrorCode::kInvalid, fmt::format("the label {} is no text", std::string_view(name)));
    QD_TRY(group.add_label(name, text_of(text.as_string())));
  }
  return {};
}

base::Status read_yaml_group(const model::config::Node& node, Group& group, std::size_t& count) {
  if (!node.is_mapping()) return base::fail(node.error("a group is a mapping of targets and labels"));
  for (const auto& entry : node.entries()) {
    const std::string& key = entry.key.text();
    if (entry.value.is_null() && (key == "targets" || key == "labels")) continue;
    if (key == "targets" && entry.value.is_sequence()) {
      for (const auto& item : entry.value.items()) {
        QD_ASSIGN(const std::string address, item.as_string());
        QD_TRY(group.add_target(address, count));
      }
    } else if (key == "labels" && entry.value.is_mapping()) {
      for (const auto& label : entry.value.entries()) {
        QD_ASSIGN(const std::string value, label.value.as_string());
        if (const auto added = group.add_label(label.key.text(), value); !added)
          return base::fail(label.key.error(added.error().message()));
      }
    } else {
      return base::fail(entry.key.error("a group has a list of targets and a mapping of labels, and no other keys"));
    }
  }
  return {};
}

}  // namespace

base::Result<TargetGroups> read_json_groups(std::string_view text, const std::string& from,
                                            std::string_view from_label) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  boost::system::error_code error;
  const json::value root = json::parse(text, error, {}, options);
  if (error) return base::fail(ErrorCode::kInvalid, fmt::format("{} is no JSON: {}", from, error.message()));
  const auto wrong = [&](std::string_view what) {
    return base::fail(ErrorCode::kInvalid, fmt::format("{}: {}", from, what));
  };
  if (root.is_null()) return TargetGroups();
  if (!root.is_array()) return wrong("it is no list of groups");
  TargetGroups out;
  std::size_t count = 0;
  for (const json::value& item : root.as_array()) {
    if (!item.is_object()) return wrong("a group is a mapping of targets and labels");
    Group group;
    for (const auto& [key, value] : item.as_object()) {
      base::Status read;
      if (key == "targets") {
        read = read_targets(value, group, count);
      } else if (key == "labels") {
        read = read_labels(value, group);
      } else {
        return wrong(fmt::format("a group has targets and labels, and no {}", base::quote(std::string_view(key))));
      }
      if (!read) return base::fail(read.error().within(from));
    }
    out.push_back(group.finish(from, from_label, out.size()));
  }
  return out;
}

base::Result<TargetGroups> read_yaml_groups(std::string_view text, const std::string& from,
                                            std::string_view from_label) {
  QD_ASSIGN(const auto root, model::config::parse_yaml(text, from));
  if (root.is_null()) return TargetGroups();
  if (!root.is_sequence()) return base::fail(root.error("this is no list of groups"));
  TargetGroups out;
  std::size_t count = 0;
  for (const auto& item : root.items()) {
    Group group;
    QD_TRY(read_yaml_group(item, group, count));
    out.push_back(group.finish(from, from_label, out.size()));
  }
  return out;
}

}  // namespace qd::observe::sd
