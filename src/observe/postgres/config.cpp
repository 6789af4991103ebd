#include "observe/postgres/config.h"

#include <fmt/format.h>

#include "connect/resolve.h"

namespace qd::observe::postgres {
namespace {

base::Status must_be_absolute(const std::string& path) {
  if (path.empty() || path.starts_with('/')) return {};
  return base::fail(base::ErrorCode::kInvalid,
                    fmt::format("{:?} is not an absolute path: write it from the root on", path));
}

// libpq takes these as text that ends at a zero byte.
base::Status must_be_text(const std::string& text) {
  if (text.find('\0') == std::string::npos) return {};
  return base::fail(base::ErrorCode::kInvalid, "it has a zero byte");
}

void declare(model::config::Schema& item, Options& options) {
  item.text("address", options.address,
            "Where the server is: host:port, the path of its socket, or the directory of its socket (port 5432).")
      .example("/var/run/postgresql");
  item.check("address", [&options]() -> base::Status {
    QD_TRY(connect::parse_server_address(options.address));
    return {};
  });
  item.text("user", options.user, "Who asks. It needs LOGIN and the role pg_monitor.").example("monitor");
  item.secret("password", options.password, "Its password.").example("file:/run/secrets/pg");
  item.text("database", options.database,
            "The database that is asked: tables, indexes and extensions are those of this one.");
  for (auto* text : {&options.user, &options.password, &options.database}) {
    item.check(text == &options.user       ? "user"
               : text == &options.password ? "password"
                                           : "database",
               [text] { return must_be_text(*text); });
  }
  item.choice(
      "sslmode", options.sslmode, {"disable", "prefer", "require", "verify-ca", "verify-full"},
      "Whether the connection is encrypted, as libpq understands it: where the server offers it, always, or only "
      "with a certificate that ca_file vouches for (verify-ca), and that is for the host (verify-full).");
  item.text("ca_file", options.ca_file,
            "Authorities (PEM) that may sign the server's certificate; the system's where there is none.");
  item.check("ca_file", [&options] { return must_be_absolute(options.ca_file); });
  item.text(
      "queries_file", options.queries_file,
      "Queries of your own, in the format of postgres_exporter's queries.yaml. It is read again when it changes.");
  item.check("queries_file", [&options] { return must_be_absolute(options.queries_file); });
  item.flag("all_databases", options.all_databases,
            "Whether tables and indexes of every database are told, over a connection to each; else of `database`.");
  item.integer("statements_limit", options.statements_limit,
               "How many statements of pg_stat_statements are told, those that took the most time; 0 for none.", 0,
               10'000);
  item.integer("statements_text_length", options.statements_text_length,
               "How much of the text of these statements is told as pg_stat_statements_query_id, in characters; 0 for "
               "none. Texts of what is not SELECT, INSERT, UPDATE, DELETE, MERGE or WITH are never told.",
               0, 4000);
}

}  // namespace

void declare_instances(model::config::Schema& schema, std::vector<Options>& instances) {
  schema.list(
      "observe.postgres", instances,
      "PostgreSQL servers that are measured, as postgres_exporter shows them. What runs on this machine is found "
      "without it; what stands here is not found twice.",
      [](model::config::Schema& item, Options& options) { declare(item, options); });
}

}  // namespace qd::observe::postgres
