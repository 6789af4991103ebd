// One kind of objects in one namespace (or in all), kept as the API server has them. Private to this room.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "observe/sd/discoverer.h"
#include "observe/sd/kubernetes_objects.h"
#include "observe/sd/kubernetes_server.h"

namespace qd::observe::sd {

class Reflector : public std::enable_shared_from_this<Reflector> {
 public:
  // What the owner is told; calls come one after the other, on the loop's threads or the pool's.
  struct Owner {
    std::function<void(Objects all)> replace;
    // null for one that is gone.
    std::function<void(std::string key, boost::json::value object)> change;
    std::function<void(base::Error error)> fail;
  };

  // How long the server is asked to keep a watch.
  static constexpr std::int64_t kWatchS = 300;
  static constexpr std::int64_t kSilenceMs = (kWatchS + 60) * 1'000;
  static constexpr std::int64_t kBackOffMs = 1'000;
  static constexpr std::int64_t kBackOffMsMax = 30'000;

  // `query` holds the selectors, as "labelSelector=…&fieldSelector=…".
  Reflector(const Surroundings& surroundings, const KubernetesServer& server, std::string path, std::string query,
            Owner owner);
  void start();
  void stop() QD_EXCLUDES(mutex_);

 private:
  connect::http::ClientRequest request(const std::string& parameters) const;
  void fetch(connect::http::ClientRequest request, connect::http::Client::Then then) QD_EXCLUDES(mutex_);
  void list(const std::string& from);
  void listed(base::Result<connect::http::ClientResponse> response);
  base::Status take_list(const connect::http::ClientResponse& response, std::string& more);
  void watch();
  bool take_piece(std::string_view piece);
  bool take_event(std::string_view line);
  void watched(const base::Result<connect::http::ClientResponse>& response);
  void fail(const base::Error& error);
  void later(std::int64_t ms, void (Reflector::*next)()) QD_EXCLUDES(mutex_);
  void list_anew();
  void watch_silence() QD_EXCLUDES(mutex_);
  bool stopped() const QD_EXCLUDES(mutex_);

  const Surroundings surroundings_;
  const KubernetesServer server_;
  const std::string path_;
  const std::string query_;
  const Owner owner_;

  mutable base::Mutex mutex_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  std::function<void()> cancel_ QD_GUARDED_BY(mutex_);
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;
  base::Scheduler::TimerId silence_ QD_GUARDED_BY(mutex_) = 0;

  // Of the one exchange that there is at a time.
  Objects listing_;
  std::string version_;  // of the newest object that was seen
  std::string line_;     // an event that is not whole yet
  std::int64_t back_off_ms_ = kBackOffMs;
  bool gone_ = false;  // the server no longer knows `version_`
};

}  // namespace qd::observe::sd
