// The sections of the Prometheus file beside what it scrapes. Private to this room.
#pragma once

#include "observe/scrape/config.h"
#include "observe/scrape/config_reader.h"

namespace qd::observe::scrape {

// alerting, remote_write, remote_read, storage, tracing, otlp, runtime. They use what global says: call them after it.
void read_alerting(Reader& reader, const Reader::Node& node, const GlobalConfig& global, AlertingConfig& into);
void read_remote_write(Reader& reader, const Reader::Node& node, const GlobalConfig& global,
                       std::vector<RemoteWriteConfig>& into);
void check_remote_read(Reader& reader, const Reader::Node& node);
void check_storage(Reader& reader, const Reader::Node& node);
void check_tracing(Reader& reader, const Reader::Node& node);
void check_otlp(Reader& reader, const Reader::Node& node, const GlobalConfig& global);
void check_runtime(Reader& reader, const Reader::Node& node);

}  // namespace qd::observe::scrape
