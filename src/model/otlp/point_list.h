// The points of a metric as they are read, within their limit. For this room alone.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

#include "model/otlp/metrics.h"

namespace qd::model::otlp {

// Throws std::length_error past kPointBytesMax.
class PointList {
 public:
  explicit PointList(std::vector<Point>& points) : points_(points) {}
  void add(Point point) {
    bytes_ += sizeof(Point) + point.attributes.size() * sizeof(Attribute) +
              (point.bucket_counts.size() + point.bounds.size() + point.positive.counts.size() +
               point.negative.counts.size() + 2 * point.quantiles.size()) *
                  sizeof(double);
    for (const Exemplar& one : point.exemplars) bytes_ += sizeof(Exemplar) + one.attributes.size() * sizeof(Attribute);
    if (bytes_ > kPointBytesMax) throw std::length_error("a metric has too many points: send fewer at once");
    points_.push_back(std::move(point));
  }

 private:
  std::vector<Point>& points_;
  std::size_t bytes_ = 0;
};

}  // namespace qd::model::otlp
