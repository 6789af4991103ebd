#include "observe/redis/config.h"

#include <fmt/format.h>

#include "connect/resolve.h"

namespace qd::observe::redis {

void declare_instances(model::config::Schema& schema, std::vector<Options>& servers) {
  schema
      .list("observe.redis", servers, "Redis and Valkey servers and Sentinels to measure, beside those that are found.",
            [](model::config::Schema& item, Options& server) {
              item.text("address", server.address, "Where it listens: host:port, or the path of its Unix socket.")
                  .example("127.0.0.1:6379");
              item.check("address", [&server]() -> base::Status {
                if (auto address = connect::parse_server_address(server.address); !address) {
                  return base::fail(address.error());
                }
                return {};
              });
              item.text("user", server.user,
                        "The ACL user (since Redis 6). It needs +info, and for the rest +config|get +latency +slowlog "
                        "+client|setname. Empty is the user default.");
              item.secret("password", server.password, "Of the user, or the server's requirepass. Empty: no login.");
              item.flag("tls.enabled", server.tls.enabled, "Whether the server speaks TLS there.");
              item.text("tls.ca_file", server.tls.ca_file,
                        "The authorities that may have signed the server's certificate, in PEM. Empty: those that the "
                        "system trusts.");
              item.text("tls.server_name", server.tls.server_name,
                        "What the server's certificate is for. Empty: the host of the address.");
              item.text("tls.cert_file", server.tls.cert_file,
                        "The certificate to show, in PEM: Redis wants one unless its tls-auth-clients is no.");
              item.text("tls.key_file", server.tls.key_file, "The key of tls.cert_file, in PEM.");
              item.check("tls.cert_file", [&server]() -> base::Status {
                if (server.tls.cert_file.empty() == server.tls.key_file.empty()) return {};
                return base::fail(base::ErrorCode::kInvalid, "tls.cert_file and tls.key_file go together");
              });
              item.flag("tls.insecure_skip_verify", server.tls.insecure_skip_verify,
                        "Takes any certificate: what is sent is then safe from listeners, but not from impostors.");
              item.strings(
                      "streams", server.streams,
                      "Streams to tell the lengths, groups and consumers of: keys, or db3=key of another database.")
                  .example("[orders, db3=events]");
              item.check("streams", [&server]() -> base::Status {
                if (server.streams.size() > kStreamsMax) {
                  return base::fail(base::ErrorCode::kLimit, fmt::format("at most {} streams", kStreamsMax));
                }
                for (const std::string& text : server.streams)
                  if (auto key = parse_stream_key(text); !key) return base::fail(key.error());
                return {};
              });
            })
      .example("[{address: \"127.0.0.1:6379\", password: \"env:REDIS_PASSWORD\"}]");
}

}  // namespace qd::observe::redis
