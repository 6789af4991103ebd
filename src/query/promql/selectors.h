// Where samples come from: series of the store at each step, their windows, and the windows of a subquery.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "query/promql/ast.h"
#include "query/promql/context.h"
#include "query/promql/grid.h"
#include "query/promql/source.h"

namespace qd::query::promql {

// The time a selector looks from at each step: the step itself or what @ says, moved by the offset.
struct Moment {
  std::int64_t offset_ms = 0;
  std::optional<model::TimestampMs> fixed_ms;

  model::TimestampMs at(const Grid& grid, std::size_t k) const {
    return (fixed_ms ? *fixed_ms : grid.at(k)) - offset_ms;
  }
  model::TimestampMs first(const Grid& grid) const { return at(grid, 0); }
  model::TimestampMs last(const Grid& grid) const { return at(grid, grid.count - 1); }
};

// Milliseconds of a duration in this query; kInvalid when step() or range() make it nonsense.
base::Result<std::int64_t> resolve(const Context& context, const Duration& duration, bool positive);
base::Result<Moment> resolve(const Context& context, const AtModifier& at, const Duration& offset);

// What is read of the newest sample of a series: its value, when it was taken, or when it began to be counted (0 where
// that is not known, nothing where it is not known of any sample). Times are in seconds.
enum class Reading : std::uint8_t { kValue, kTime, kStartTime };
// That at each step.
base::Result<SourcePtr> select_instant(Context& context, const VectorSelector& selector, const Grid& grid,
                                       Reading reading);

// Series whose samples in a stretch of time a window function reads. Stale markers are left out.
class WindowInput {
 public:
  virtual ~WindowInput() = default;
  virtual std::size_t size() const = 0;
  virtual const model::LabelSet& labels(std::size_t i) const = 0;
  virtual bool drops_name(std::size_t i) const = 0;
  virtual bool unique_without_name() const = 0;
  virtual base::Status read(std::size_t i, store::metrics::Columns& out, Scratch& scratch) const = 0;
};

struct Windows {
  std::unique_ptr<WindowInput> input;
  Moment moment;
  std::int64_t range_ms = 0;
  bool anchored = false;
  bool smoothed = false;
};

base::Result<Windows> select_windows(Context& context, const MatrixSelector& selector, const Grid& grid);
// `inner` gives one value a step of `inner_grid`: the subquery's own.
std::unique_ptr<WindowInput> subquery_input(SourcePtr inner, const Grid& inner_grid);

}  // namespace qd::query::promql
