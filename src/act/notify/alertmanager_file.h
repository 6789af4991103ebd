// The Alertmanagers of a Prometheus file (`alerting`): found, relabelled, and told as the file says.
//
//   AlertmanagerFile file(surroundings, alertmanagers);
//   file.apply(prometheus.alerting, scheme, own);   // at the start and at each reload
//
// Static ones count at once, discovered ones as soon as they are known. Thread-safe.
//
// Source: Prometheus documentation, <alertmanager_config>.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "act/notify/alertmanagers.h"
#include "model/relabel.h"
#include "observe/scrape/config.h"
#include "observe/sd/discoverer.h"
#include "observe/sd/target_group.h"

namespace qd::act::notify {

// What one group of the file comes to.
struct FoundAlertmanagers {
  std::vector<std::string> urls;
  std::vector<std::string> dropped;  // URLs that they would have had
};
FoundAlertmanagers relabelled(const observe::scrape::AlertmanagerConfig& config,
                              const observe::sd::TargetGroups& discovered, const model::Relabeller& rules);

class AlertmanagerFile {
 public:
  // `to` and what the surroundings refer to outlive it.
  AlertmanagerFile(const observe::sd::Surroundings& surroundings, Alertmanagers& to);
  ~AlertmanagerFile();
  AlertmanagerFile(const AlertmanagerFile&) = delete;
  AlertmanagerFile& operator=(const AlertmanagerFile&) = delete;

  // `own`: Alertmanagers that something else than the file names; they come first.
  void apply(const observe::scrape::AlertingConfig& config, model::NameScheme scheme, std::vector<AlertmanagerSet> own);
  void stop();
  std::vector<std::string> dropped() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace qd::act::notify
