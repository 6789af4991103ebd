// blackbox_exporter's file of modules (blackbox.yml), read as it is.
//
// Every key of it is known. What this release does not do is refused by name, with file and line, where a file asks for
// it; nothing is passed over.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/result.h"
#include "observe/probe/module.h"

namespace qd::observe::probe {

inline constexpr std::size_t kModulesMax = 1000;

// kInvalid with every fault, one a line.
base::Result<ModulesPtr> parse_modules(std::string_view text, std::string_view file_name);
base::Result<ModulesPtr> load_modules(base::Files& files, const std::filesystem::path& file);
// What blackbox_exporter comes with: http_2xx, http_post_2xx, tcp_connect, pop3s_banner, grpc, grpc_plain, ssh_banner,
// irc_banner, icmp, icmp_ttl5, and beside them dns_udp and dns_tcp, which look at a name server by asking for the root.
ModulesPtr default_modules();

}  // namespace qd::observe::probe
