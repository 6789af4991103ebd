#include "query/promql/elementwise.h"

#include <chrono>
#include <cmath>
#include <numbers>

#include "query/promql/grid.h"
#include "query/promql/histogram_operators.h"
#include "query/promql/map_source.h"

namespace qd::query::promql {

namespace {

// Years that the calendar of std::chrono holds, in seconds around the epoch.
constexpr double kCalendarSecondsMax = 9.0e11;

double smaller(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? kNan : std::min(a, b);
}
double larger(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? kNan : std::max(a, b);
}

// A part of the UTC date and time that `seconds` since the epoch is.
double date_part(FunctionId id, double seconds) {
  if (!(std::fabs(seconds) < kCalendarSecondsMax)) return kNan;
  using std::chrono::days;
  const std::chrono::sys_seconds time{std::chrono::seconds(static_cast<std::int64_t>(seconds))};
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  switch (id) {
    case FunctionId::kMinute:
      return static_cast<double>(clock.minutes().count());
    case FunctionId::kHour:
      return static_cast<double>(clock.hours().count());
    case FunctionId::kDayOfWeek:
      return std::chrono::weekday(day).c_encoding();
    case FunctionId::kDayOfMonth:
      return static_cast<unsigned>(date.day());
    case FunctionId::kDayOfYear:
      return static_cast<double>((day - std::chrono::sys_days(date.year() / std::chrono::January / 1)).count() + 1);
    case FunctionId::kDaysInMonth:
      return static_cast<unsigned>((date.year() / date.month() / std::chrono::last).day());
    case FunctionId::kMonth:
      return static_cast<unsigned>(date.month());
    default:
      return static_cast<int>(date.year());
  }
}

using MathFunction = double (*)(double);

double degrees(double v) {
  return v * 180 / std::numbers::pi;
}
double radians(double v) {
  return v * std::numbers::pi / 180;
}
double sign(double v) {
  return v < 0 ? -1 : v > 0 ? 1 : v;
}

MathFunction math_function(FunctionId id) {
  switch (id) {
    case FunctionId::kAbs:
      return std::fabs;
    case FunctionId::kAcos:
      return std::acos;
    case FunctionId::kAcosh:
      return std::acosh;
    case FunctionId::kAsin:
      return std::asin;
    case FunctionId::kAsinh:
      return std::asinh;
    case FunctionId::kAtan:
      return std::atan;
    case FunctionId::kAtanh:
      return std::atanh;
    case FunctionId::kCeil:
      return std::ceil;
    case FunctionId::kCos:
      return std::cos;
    case FunctionId::kCosh:
      return std::cosh;
    case FunctionId::kDeg:
      return degrees;
    case FunctionId::kExp:
      return std::exp;
    case FunctionId::kFloor:
      return std::floor;
    case FunctionId::kLn:
      return std::log;
    case FunctionId::kLog10:
      return std::log10;
    case FunctionId::kLog2:
      return std::log2;
    case FunctionId::kRad:
      return radians;
    case FunctionId::kSgn:
      return sign;
    case FunctionId::kSin:
      return std::sin;
    case FunctionId::kSinh:
      return std::sinh;
    case FunctionId::kSqrt:
      return std::sqrt;
    case FunctionId::kTan:
      return std::tan;
    default:
      return std::tanh;
  }
}

// Calls `use` with a function object of its own type for the operator, so that the loop inside is compiled for it.
template <typename Use>
auto with_operator(BinaryOp op, Use&& use) {
  switch (op) {
    case BinaryOp::kAdd:
      return use([](double a, double b) { return a + b; });
    case BinaryOp::kSub:
      return use([](double a, double b) { return a - b; });
    case BinaryOp::kMul:
      return use([](double a, double b) { return a * b; });
    case BinaryOp::kDiv:
      return use([](double a, double b) { return a / b; });
    default:
      return use([op](double a, double b) { return arithmetic(op, a, b); });
  }
}

}  // namespace

bool compare(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kEql:
      return a == b;
    case BinaryOp::kNeq:
      return a != b;
    case BinaryOp::kGtr:
      return a > b;
    case BinaryOp::kLss:
      return a < b;
    case BinaryOp::kGte:
      return a >= b;
    default:
      return a <= b;
  }
}

double arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
    case BinaryOp::kMod:
      return std::fmod(a, b);
    case BinaryOp::kPow:
      return std::pow(a, b);
    case BinaryOp::kAtan2:
      return std::atan2(a, b);
    default:
      return compare(op, a, b) ? 1 : 0;
  }
}

base::Result<SourcePtr> make_function_source(Context& context, FunctionId id, SourcePtr inner, const Grid& grid,
                                             std::vector<RowValues> parameters) {
  switch (id) {
    case FunctionId::kClamp:
      return map_source(context, std::move(inner), grid, true,
                        [low = std::move(parameters[0]), high = std::move(parameters[1])](double v, std::size_t k) {
                          return high[k] < low[k] ? kAbsent : larger(low[k], smaller(high[k], v));
                        });
    case FunctionId::kClampMax:
      return map_source(context, std::move(inner), grid, true,
                        [high = std::move(parameters[0])](double v, std::size_t k) { return smaller(high[k], v); });
    case FunctionId::kClampMin:
      return map_source(context, std::move(inner), grid, true,
                        [low = std::move(parameters[0])](double v, std::size_t k) { return larger(low[k], v); });
    case FunctionId::kRound:
      if (parameters.empty()) parameters.emplace_back(grid.count, 1.0);
      return map_source(context, std::move(inner), grid, true,
                        [to = std::move(parameters[0])](double v, std::size_t k) {
                          // Multiplying by the inverse loses less than dividing by a small fraction.
                          const double inverse = 1 / to[k];
                          return std::floor(v * inverse + 0.5) / inverse;
                        });
    case FunctionId::kDayOfMonth:
    case FunctionId::kDayOfWeek:
    case FunctionId::kDayOfYear:
    case FunctionId::kDaysInMonth:
    case FunctionId::kHour:
    case FunctionId::kMinute:
    case FunctionId::kMonth:
    case FunctionId::kYear:
      return map_source(context, std::move(inner), grid, true,
                        [id](double v, std::size_t) { return date_part(id, v); });
    case FunctionId::kAbs:
      return map_source(context, std::move(inner), grid, true, [](double v, std::size_t) { return std::fabs(v); });
    default:
      return map_source(context, std::move(inner), grid, true,
                        [f = math_function(id)](double v, std::size_t) { return f(v); });
  }
}

base::Result<SourcePtr> make_scalar_operator(Context& context, BinaryOp op, bool return_bool, SourcePtr vector,
                                             RowValues scalar, bool scalar_first, Span span, const Grid& grid) {
  const auto whole = std::make_shared<const HistogramOperator>(context, op, return_bool, span);
  MapHistograms histograms = histograms_by_scalar(whole, scalar, scalar_first);
  if (is_trim(op)) {
    // Numbers cannot be trimmed.
    return map_source(
        context, std::move(vector), grid, false,
        [whole](double, std::size_t) {
          whole->refuse(false, false);
          return kAbsent;
        },
        std::move(histograms));
  }
  if (is_comparison(op) && !return_bool) {
    return map_source(
        context, std::move(vector), grid, false,
        [op, scalar_first, s = std::move(scalar)](double v, std::size_t k) {
          const bool keep = scalar_first ? compare(op, s[k], v) : compare(op, v, s[k]);
          return keep ? v : kAbsent;
        },
        std::move(histograms));
  }
  return with_operator(op, [&](auto f) -> base::Result<SourcePtr> {
    if (scalar_first) {
      return map_source(
          context, std::move(vector), grid, true,
          [f, s = std::move(scalar)](double v, std::size_t k) { return f(s[k], v); }, std::move(histograms));
    }
    return map_source(
        context, std::move(vector), grid, true,
        [f, s = std::move(scalar)](double v, std::size_t k) { return f(v, s[k]); }, std::move(histograms));
  });
}

base::Result<SourcePtr> make_negation(Context& context, SourcePtr inner, const Grid& grid) {
  return map_source(
      context, std::move(inner), grid, true, [](double v, std::size_t) { return -v; },
      histograms_by_scalar(std::make_shared<const HistogramOperator>(context, BinaryOp::kMul, false, Span()),
                           RowValues(grid.count, -1), false));
}

base::Result<SourcePtr> make_step_timestamps(Context& context, SourcePtr inner, const Grid& grid) {
  const auto at = [grid](std::size_t k) { return static_cast<double>(grid.at(k)) / 1000; };
  return map_source(
      context, std::move(inner), grid, true, [at](double, std::size_t k) { return at(k); },
      [at](HistogramColumn& histograms, std::span<double> out) {
        bool any = false;
        for (std::size_t k = 0; k < histograms.size(); ++k) {
          if (histograms[k] == nullptr) continue;
          out[k] = at(k);
          any = true;
        }
        histograms.clear();
        return any;
      });
}

}  // namespace qd::query::promql
