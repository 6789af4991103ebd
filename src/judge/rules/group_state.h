// One rule group at work: its rules' health, its alerts, the series that it wrote last.
//
// evaluate(), adopt() and retire() run on one thread at a time; snapshot() on any, at any time. Rules that share
// nothing (dependencies.h) are evaluated at the same time where the workplace has a pool and permits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "judge/rules/alert.h"
#include "judge/rules/alert_states.h"
#include "judge/rules/expansion.h"
#include "judge/rules/group_metrics.h"
#include "judge/rules/permits.h"
#include "judge/rules/rule.h"
#include "store/metrics/appender.h"
#include "store/metrics/querier.h"

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

// What groups work with. Everything outlives the groups. Functions are called from several threads at once where there
// are permits.
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
  // What alerts were before a restart is read here; null where nothing is to be restored.
  const store::metrics::Querier* history = nullptr;
  RestoreOptions restore = {};
  // For rules that run beside others; null for one after the other.
  base::ThreadPool* pool = nullptr;
  std::shared_ptr<Permits> permits = nullptr;
  // As `query`, for the expression of a rule of this group. Empty: `query` itself.
  std::function<base::Result<query::promql::QueryResult>(const Group&, std::string_view, model::TimestampMs)>
      rule_query = {};
};

class GroupState {
 public:
  // `restores`: alerts go on from before a restart, once two evaluations have seen what there is.
  GroupState(Group group, const Workplace& workplace, bool restores);

  // Evaluates every rule as of `now_ms`, writes what came out, and gives all alerts: pending, firing, and those
  // resolved within the last 15 minutes. A rule that fails is remembered as such; the others go on. Once the workplace
  // is cancelled, what it gives is incomplete.
  std::vector<Alert> evaluate(model::TimestampMs now_ms) QD_EXCLUDES(mutex_);

  // Goes on where `old`, the same group before a reload, stopped: rules that are there still (by kind, name and labels)
  // keep their alerts. Neither is evaluated meanwhile; `old` is of no use afterwards.
  void adopt(GroupState& old) QD_EXCLUDES(mutex_);

  GroupStatus snapshot() const QD_EXCLUDES(mutex_);
  const Group& group() const { return group_; }
  GroupMetrics& metrics() { return metrics_; }
  // Marks every series that it wrote as ended: it goes away.
  void retire(model::TimestampMs now_ms);

 private:
  using Series = std::unordered_set<model::LabelSet>;
  struct Output {
    model::LabelSet labels;
    double value;
    model::HistogramPtr histogram = nullptr;  // instead of the value
  };
  // Of one rule. Only its own evaluation, adopt() and retire() touch it.
  struct Working {
    AlertStates alerts;
    Series written;  // at the last evaluation that succeeded
    bool failure_told = false;
    bool waits = false;  // for its alerts to be restored: what they are is not written before
    std::size_t samples = 0;
    double seconds = 0;
  };

  void end_left_behind(model::TimestampMs now_ms);
  void evaluate_step(const std::vector<std::size_t>& step, model::TimestampMs now_ms) QD_EXCLUDES(mutex_);
  void evaluate_rule(std::size_t i, model::TimestampMs now_ms) QD_EXCLUDES(mutex_);
  base::Result<std::vector<Output>> run(std::size_t i, model::TimestampMs now_ms, RuleStatus& status);
  base::Result<std::vector<Output>> record(const Rule& rule, const query::promql::Vector& found) const;
  base::Result<std::vector<Output>> judge(std::size_t i, const query::promql::Vector& found, model::TimestampMs now_ms);
  base::Result<AlertStates::Fresh> fresh_alerts(const Rule& rule, const query::promql::Vector& found,
                                                model::TimestampMs now_ms) const;
  base::Status within(std::int64_t deadline_ns) const;
  void tell(std::size_t i, const base::Status& done);
  void restore(model::TimestampMs now_ms);
  void restore_rule(std::size_t i, model::TimestampMs now_ms);
  base::Status write(Series& written, const std::vector<Output>& outputs, model::TimestampMs at_ms);
  model::TimestampMs as_of(model::TimestampMs now_ms) const { return now_ms - group_.query_offset_ms.value_or(0); }

  const Group group_;
  const Workplace& workplace_;
  const std::vector<std::vector<std::size_t>> steps_;
  GroupMetrics metrics_;
  std::vector<Working> working_;  // by rule
  Series left_behind_;            // by rules that a reload took away: to be ended
  std::size_t evaluations_until_restored_ = 0;

  mutable base::Mutex mutex_;
  GroupStatus status_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::judge::rules
