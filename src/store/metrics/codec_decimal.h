// Doubles that people and programs wrote as decimals, as the integers that they are.
//
// v = d / 10^e with an integer d below 2^51 is found again exactly by one correctly rounded division, since d and 10^e
// are both exact (10^22 still is): that is the double nearest to the decimal, which is what a parser made of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace qd::store::metrics {

inline constexpr unsigned kDecimalExponentMax = 15;
inline constexpr std::int64_t kDecimalMagnitudeLimit = std::int64_t{1} << 51;

// What it takes to write `values` as decimals.
struct DecimalSurvey {
  // Values that need exactly so many places; the last count is of those that no number of places fits.
  std::array<std::size_t, kDecimalExponentMax + 2> values_by_places{};

  // Places that cost the fewest bits, when a value that needs more costs `exception_bits`.
  unsigned best_places(std::size_t exception_bits) const;
  std::size_t needing_more(unsigned places) const;
};
DecimalSurvey survey_decimals(std::span<const double> values);

// d when `value` is the decimal d / 10^places to the bit. -0.0 is not, nor is what is not finite.
bool as_decimal(double value, unsigned places, std::int64_t& decimal);
// The nearest decimal, exact or not; false when it is out of bounds.
bool nearest_decimal(double value, unsigned places, std::int64_t& decimal);

// out[i] = decimals[i] / 10^places, as written above; anything for decimals out of bounds. REQUIRES: equal sizes,
// places <= kDecimalExponentMax.
void from_decimals(std::span<const std::int64_t> decimals, unsigned places, std::span<double> out);

// 10^places. REQUIRES: places <= kDecimalExponentMax.
double power_of_ten(unsigned places);

}  // namespace qd::store::metrics
