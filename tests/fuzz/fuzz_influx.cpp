// Lines of InfluxDB's protocol. Every byte is in one line, and a line that is read has what it must.

#include <cmath>
#include <cstdint>

#include "base/assert.h"
#include "input.h"
#include "model/influx/line_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace influx = qd::model::influx;
  std::string_view text = qd::fuzz::Input(data, size).text();
  while (!text.empty()) {
    const std::size_t before = text.size();
    const std::string_view line = influx::next_line(text);
    QD_ASSERT(text.size() < before && line.size() <= before - text.size());
    const auto parsed = influx::parse_line(line);
    if (!parsed) {
      QD_ASSERT(parsed.error().message().starts_with("column "));
      continue;
    }
    if (!*parsed) continue;
    const influx::Line& one = **parsed;
    QD_ASSERT(!one.measurement.empty());
    QD_ASSERT(one.fields.size() + one.texts > 0);
    for (const auto& [name, value] : one.fields) QD_ASSERT(!name.empty() && std::isfinite(value));
    for (const auto& [name, value] : one.tags) QD_ASSERT(!name.empty());
    if (one.time)
      for (const std::string_view unit : {"ns", "us", "ms", "s", "m", "h"})
        static_cast<void>(influx::to_ms(*one.time, *influx::precision_ns(unit)));
  }
  return 0;
}
