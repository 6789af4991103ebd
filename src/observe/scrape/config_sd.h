// The `…_sd_configs` of the Prometheus file. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "observe/scrape/config.h"
#include "observe/scrape/config_reader.h"

namespace qd::observe::scrape {

// Adds static_configs and every `…_sd_configs` that Prometheus has. Those that this release does not have are checked
// as far as Prometheus checks them before it asks anybody, and told in the reader's warnings.
void add_sd_keys(Reader& reader, Reader::Keys& keys, std::vector<StaticGroup>& static_configs,
                 std::vector<sd::SdConfig>& sd_configs);

// `static_configs` hold addresses: where no relabelling follows, each must be one that can be scraped.
void check_static_targets(Reader& reader, const Reader::Node& node);

// Discoveries that are known by name and not built.
void add_other_sd_keys(Reader& reader, Reader::Keys& keys);

}  // namespace qd::observe::scrape
