#include "observe/memcached/config.h"

#include "connect/resolve.h"

namespace qd::observe::memcached {

void declare_instances(model::config::Schema& schema, std::vector<Options>& servers) {
  schema
      .list("observe.memcached", servers, "memcached servers to measure, beside those that are found.",
            [](model::config::Schema& item, Options& server) {
              item.text("address", server.address, "Where it listens: host:port, or the path of its Unix socket.")
                  .example("127.0.0.1:11211");
              item.check("address", [&server]() -> base::Status {
                if (auto address = connect::parse_server_address(server.address); !address) {
                  return base::fail(address.error());
                }
                return {};
              });
            })
      .example("[{address: \"127.0.0.1:11211\"}]");
}

}  // namespace qd::observe::memcached
