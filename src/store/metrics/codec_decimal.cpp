#include "store/metrics/codec_decimal.h"

#include <bit>
#include <cmath>

#include "store/metrics/codec_kernels.h"

namespace qd::store::metrics {
namespace {

constexpr std::array<double, kDecimalExponentMax + 1> kPowers = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

constexpr std::uint64_t kShiftBits = std::bit_cast<std::uint64_t>(kIntegerShift);

double to_double(std::int64_t integer) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(integer) + kShiftBits) - kIntegerShift;
}

}  // namespace

bool nearest_decimal(double value, unsigned places, std::int64_t& decimal) {
  const double scaled = value * kPowers[places];
  if (!(std::fabs(scaled) < static_cast<double>(kDecimalMagnitudeLimit - 1))) return false;
  decimal = static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(scaled + kIntegerShift) - kShiftBits);
  return true;
}

bool as_decimal(double value, unsigned places, std::int64_t& decimal) {
  if (!nearest_decimal(value, places, decimal)) return false;
  return std::bit_cast<std::uint64_t>(to_double(decimal) / kPowers[places]) == std::bit_cast<std::uint64_t>(value);
}

namespace {

// The fewest places that `value` needs, found from a guess; kDecimalExponentMax + 1 when there are none.
unsigned places_of(double value, unsigned guess) {
  std::int64_t ignored = 0;
  unsigned places = guess;
  if (!as_decimal(value, places, ignored)) {
    for (++places; places <= kDecimalExponentMax && nearest_decimal(value, places, ignored); ++places) {
      if (as_decimal(value, places, ignored)) return places;
    }
    // Too large for so many places, perhaps for the guess already.
    places = guess;
    while (places > 0 && !as_decimal(value, places - 1, ignored)) --places;
    if (places == 0) return kDecimalExponentMax + 1;
    --places;
  }
  while (places > 0 && as_decimal(value, places - 1, ignored)) --places;
  return places;
}

}  // namespace

DecimalSurvey survey_decimals(std::span<const double> values) {
  constexpr std::size_t kHopeless = 16;  // so many misses, and as many as there were hits: the rest is not looked at
  DecimalSurvey survey;
  unsigned places = 0;  // of the value before: the next one mostly needs as many
  std::size_t misses = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const unsigned needed = places_of(values[i], places);
    if (needed <= kDecimalExponentMax) {
      ++survey.values_by_places[needed];
      places = needed;
      continue;
    }
    ++misses;
    if (misses >= kHopeless && misses * 2 > i) {
      misses += values.size() - i - 1;
      break;
    }
  }
  survey.values_by_places.back() = misses;
  return survey;
}

std::size_t DecimalSurvey::needing_more(unsigned places) const {
  std::size_t sum = 0;
  for (std::size_t i = places + 1; i < values_by_places.size(); ++i) sum += values_by_places[i];
  return sum;
}

unsigned DecimalSurvey::best_places(std::size_t exception_bits) const {
  const std::size_t all = needing_more(0) + values_by_places[0];
  unsigned best = 0;
  std::size_t best_bits = SIZE_MAX;
  for (unsigned places = 0; places <= kDecimalExponentMax; ++places) {
    if (values_by_places[places] == 0 && places != 0) continue;
    // log2(10) bits a place.
    const std::size_t bits = all * places * 3322 / 1000 + needing_more(places) * exception_bits;
    if (bits < best_bits) {
      best_bits = bits;
      best = places;
    }
  }
  return best;
}

void from_decimals(std::span<const std::int64_t> decimals, unsigned places, std::span<double> out) {
  decode_kernels().divide(decimals.data(), out.size(), kPowers[places], out.data());
}

double power_of_ten(unsigned places) {
  return kPowers[places];
}

}  // namespace qd::store::metrics
