// The kinds of servers that are known by the name of an image, of a process, or by a port.
#pragma once

#include <cstdint>
#include <string_view>

namespace qd::observe::discovery {

// "postgres", "mysql", "redis", "memcached", "nginx", or empty.
//
// Of an image as it was asked for: "ghcr.io/acme/postgres:16@sha256:…" is one of PostgreSQL by its last name;
// "postgres-exporter" is not.
std::string_view kind_of_image(std::string_view image);
// Of a process by the name that the kernel has of it (/proc/<pid>/comm), or a program by the last part of its path.
std::string_view kind_of_process(std::string_view name);
// Of the port that such a server has when nobody says otherwise; 0 for other kinds.
std::uint16_t usual_port(std::string_view kind);

// Whether a label may ask for this kind: those above and "openmetrics".
bool is_kind(std::string_view kind);

}  // namespace qd::observe::discovery
