// One rule group at work: its rules' health, its alerts, the series that it wrote last.
//
// evaluate() runs on one thread at a time; snapshot() on any, at any time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "judge/rules/alert.h"
#include "judge/rules/expansion.h"
#include "judge/rules/rule.h"
#include "store/metrics/appender.h"

namespace qd::judge::rules {

enum class Health { kUnknown, kOk, kError };
std::string_view to_string(Health health);

struct RuleStatus {
  Rule rule;
  Health health = Health::kUnknown;
  std::string last_error;
  std::vector<std::string> warnings;
  double evaluation_seconds = 0;
  model::TimestampMs last_evaluation_ms = 0;
  std::vector<Alert> alerts;  // pending and firing
};

struct GroupStatus {
  std::string file;
  std::string name;
  std::int64_t interval_ms = 0;
  std::uint64_t limit = 0;
  double evaluation_seconds = 0;
  model::TimestampMs last_evaluation_ms = 0;
  std::vector<RuleStatus> rules;
};

// What groups work with. Everything outlives the groups.
struct Workplace {
  QueryFunction query;
  store::metrics::Appendable& store;
  const base::Clock& clock;
  base::Log& log;
  base::Registry& registry;
  model::LabelSet external_labels;
  std::string external_url;
  // Ends evaluations that run, so that a stop need not wait for them.
  base::CancelToken cancel;
  // As `query`, for the expression of a rule of this group. Empty: `query` itself.
  std::function<base::Result<query::promql::QueryResult>(const Group&, std::string_view, model::TimestampMs)>
      rule_query = {};
};

class GroupState {
 public:
  GroupState(Group group, const Workplace& workplace);

  // Evaluates every rule as of `now_ms`, writes what came out, and gives all alerts: pending, firing, and those
  // resolved within the last 15 minutes. A rule that fails is remembered as such; the others go on. Once the workplace
  // is cancelled, what it gives is incomplete.
  std::vector<Alert> evaluate(model::TimestampMs now_ms) QD_EXCLUDES(mutex_);

  GroupStatus snapshot() const QD_EXCLUDES(mutex_);
  const Group& group() const { return group_; }
  // Marks every series that it wrote as ended: it goes away.
  void retire(model::TimestampMs now_ms) QD_EXCLUDES(mutex_);

 private:
  struct Output {
    model::LabelSet labels;
    double value;
  };
  struct Working {
    std::unordered_map<model::LabelSet, Alert> alerts;
    std::unordered_set<model::LabelSet> written;  // at the last evaluation that succeeded
    bool failure_told = false;
  };

  base::Result<std::vector<Output>> run(std::size_t i, model::TimestampMs now_ms, RuleStatus& status);
  base::Result<std::vector<Output>> record(const Rule& rule, const query::promql::Vector& found) const;
  base::Result<std::vector<Output>> judge(std::size_t i, const query::promql::Vector& found, model::TimestampMs now_ms);
  base::Status within_deadline() const;
  void tell(std::size_t i, const base::Status& done);
  void restore(std::size_t i, model::TimestampMs now_ms);
  base::Status write(std::size_t i, const std::vector<Output>& outputs, model::TimestampMs now_ms);
  std::vector<Alert> alerts_of(std::size_t i, bool with_resolved) const;

  const Group group_;
  const Workplace& workplace_;
  base::Counter& failures_;
  base::Counter& evaluations_;
  base::Counter& refused_samples_;
  std::vector<Working> working_;  // by rule; only evaluate() and retire() touch it
  bool restored_ = false;
  std::int64_t deadline_ns_ = 0;  // of the templates of the rule that is judged: the interval, from their start

  mutable base::Mutex mutex_;
  GroupStatus status_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::judge::rules
