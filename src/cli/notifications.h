// Where firing alerts go: to Quarterdeck's own notifier (act.notify), and to Alertmanagers (act.notify.alertmanagers,
// and `alerting` of a Prometheus file).
//
// Thread-safe once built, but for stop().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "act/notify/alertmanager_file.h"
#include "act/notify/notifier.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "cli/settings.h"
#include "connect/event_loop.h"
#include "connect/http/client.h"
#include "connect/http/http_config.h"
#include "judge/rules/manager.h"

namespace qd::cli {

class Notifications {
 public:
  // All of it outlives the room and what the loop still holds of it.
  struct Surroundings {
    connect::EventLoop& loop;
    base::ThreadPool& waiting_pool;  // for discoveries of Alertmanagers
    connect::http::Client& client;
    connect::http::ConfiguredClient& outbound;
    base::Log& log;
    base::Registry& registry;
  };

  explicit Notifications(const Surroundings& surroundings);
  ~Notifications();
  Notifications(const Notifications&) = delete;
  Notifications& operator=(const Notifications&) = delete;

  // What links and labels of alerts say of this process. Before anything fires.
  void set_origin(const act::notify::Origin& origin);
  // Of the start, and of each reload.
  void apply(const Settings& settings);
  // What a group of rules has just found.
  void update(const judge::rules::GroupStatus& group, const std::vector<judge::rules::Alert>& alerts);

  // Those that alerts are sent to, and those that relabelling dropped.
  auto alertmanagers() const { return alertmanagers_->urls(); }
  auto dropped_alertmanagers() const { return alertmanager_file_->dropped(); }

  void stop();

 private:
  const Surroundings around_;
  std::unique_ptr<act::notify::Notifier> notifier_;
  std::unique_ptr<act::notify::Alertmanagers> alertmanagers_;
  std::unique_ptr<act::notify::AlertmanagerFile> alertmanager_file_;
};

}  // namespace qd::cli
