#include "observe/mysql/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/strings.h"
#include "connect/resolve.h"
#include "observe/mysql/part.h"

namespace qd::observe::mysql {
namespace {

base::Status check_collect(const std::vector<std::string>& collect) {
  std::vector<std::string> names;
  for (const PartInfo& info : parts()) names.emplace_back(info.name);
  for (const std::string& entry : collect) {
    const std::string name = entry.starts_with('-') ? entry.substr(1) : entry;
    if (std::ranges::find(names, name) != names.end()) continue;
    const auto near = base::nearest(name, names);
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("{:?} is none of mysqld_exporter's collectors that are built in{}; they are named "
                                  "without \"collect.\", such as info_schema.tables",
                                  name, near ? fmt::format(" (did you mean {:?}?)", *near) : ""));
  }
  return {};
}

base::Status check_table(const std::string& table) {
  const std::size_t dot = table.find('.');
  if (dot != std::string::npos && dot > 0 && dot + 1 < table.size() && table.find('.', dot + 1) == std::string::npos) {
    return {};
  }
  return base::fail(base::ErrorCode::kInvalid, fmt::format("{:?}: write database.table", table));
}

}  // namespace

void declare_instances(model::config::Schema& schema, std::vector<Options>& instances) {
  schema.list<Options>(
      "observe.mysql", instances, "MySQL and MariaDB servers to measure, as mysqld_exporter shows them.",
      [](model::config::Schema& item, Options& options) {
        item.text("address", options.address, "Where the server listens: host:port, or the path of its socket.")
            .example("db1:3306");
        item.check("address", [&options]() -> base::Status {
          const auto address = connect::parse_server_address(options.address);
          return address ? base::Status() : base::fail(address.error());
        });
        item.text("user", options.user, "The account to sign on with.").example("monitor");
        item.secret("password", options.password, "Its password.").example("file:/run/secrets/mysql");
        item.flag("tls.enabled", options.tls.enabled, "Whether to insist on TLS.");
        item.text("tls.ca_file", options.tls.ca_file,
                  "The authorities that the server's certificate may be from, in PEM; the system's when empty.");
        item.flag("tls.insecure_skip_verify", options.tls.insecure_skip_verify,
                  "Takes any certificate: whoever can reroute the connection can read the password.");
        item.strings("collect", options.collect,
                     "What to read beyond the usual, by mysqld_exporter's names without \"collect.\"; with - in front, "
                     "what of the usual not to read.")
            .example("[info_schema.tables, perf_schema.tableiowaits, -engine_innodb_status]");
        item.check("collect", [&options] { return check_collect(options.collect); });
        item.integer("digests_limit", options.digests_limit,
                     "How many statements to tell apart: those that took most time within a day.", 1, 10'000);
        item.text("heartbeat_table", options.heartbeat_table,
                  "Where pt-heartbeat writes, as database.table; read when collect has heartbeat.");
        item.check("heartbeat_table", [&options] { return check_table(options.heartbeat_table); });
      });
}

}  // namespace qd::observe::mysql
