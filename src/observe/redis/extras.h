// What a pass asks a Redis server beside INFO, streams and sentinels: settings, the cluster, latencies, the slow log.
//
// Not thread-safe. Replies are kept from ask() to the next.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/collector.h"
#include "observe/redis/info.h"
#include "observe/redis/resp.h"
#include "observe/redis/session.h"

namespace qd::observe::redis {

class Extras {
 public:
  Extras() = default;
  Extras(const Extras&) = delete;
  Extras& operator=(const Extras&) = delete;

  // Asks all at once; gives what CLUSTER INFO says to `info`. On an error tell() tells what came.
  base::Status ask(Session& session, Info& info, std::int64_t deadline_ns);
  // How many databases the server has.
  std::size_t databases() const { return databases_; }
  void tell(Sink& sink, const Info& info);

 private:
  void take_config(const Reply& reply);
  void tell_config(Sink& sink);
  void tell_latest(Sink& sink);
  void tell_histograms(Sink& sink, const Info& info) const;

  std::string request_;
  Replies replies_;
  std::string name_;
  std::string cluster_;
  std::size_t databases_ = 0;
  bool one_database_ = false;  // of a cluster, whatever is configured
  std::vector<std::pair<std::string_view, std::string_view>> config_;
  Reply latest_, histograms_, slowlog_len_, slowlog_get_;
  Reply commandlog_[3];
};

}  // namespace qd::observe::redis
