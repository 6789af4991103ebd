// The Docker Engine API, as far as the discoveries ask it. Private to this room.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

struct EngineAddress {
  const std::string& host;
  const connect::http::HttpConfig& http;
  std::int64_t deadline_ms = 0;
};

// The list at `path`, which begins with a slash. kCorrupt when it is none; kUnavailable with what the engine says.
base::Result<boost::json::array> get_list(const EngineAddress& engine, const Surroundings& surroundings,
                                          std::string_view path, const std::vector<EngineFilter>& filters);

// Fields of an answer that may be absent: then empty, or null.
const boost::json::value& field(const boost::json::value& value, std::string_view key);
std::string text(const boost::json::value& value, std::string_view key);
// Numbers and flags as Go prints them; empty where there is neither.
std::string scalar(const boost::json::value& value, std::string_view key);
// The items of a list; none for another value.
const boost::json::array& items(const boost::json::value& value);

// Adds every label of `value` with `prefix` before its name.
void add_labels(model::LabelBuilder& into, std::string_view prefix, const boost::json::value& value);
void add_all(model::LabelBuilder& into, const model::LabelSet& labels);

// What is known of each network, by its identifier, under `prefix` ("__meta_docker_network_").
base::Result<std::map<std::string, model::LabelSet>> get_networks(const EngineAddress& engine,
                                                                  const Surroundings& surroundings,
                                                                  std::string_view prefix);

}  // namespace qd::observe::sd
