// What nginx-module-vts says at /status/format/json, under the names of its own /status/format/prometheus.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "observe/collector.h"
#include "observe/nginx/stub_status.h"

namespace qd::observe::nginx {

// Server zones, upstream servers, filters and caches: of each what is more is not told.
inline constexpr std::size_t kZonesMax = 2000;

// A page that was read, to be told. Not more than one at a time is kept; views into it end with it.
class VtsPage {
 public:
  // kCorrupt when it is no JSON, or not of this module.
  static base::Result<VtsPage> parse(std::string_view json);
  VtsPage(VtsPage&&) noexcept;
  VtsPage& operator=(VtsPage&&) noexcept;
  ~VtsPage();

  StubStatus connections() const;
  void tell(Sink& sink, bool legacy_names) const;
  // Whether kZonesMax was met.
  bool cut() const;

 private:
  struct Content;
  explicit VtsPage(std::unique_ptr<Content> content);
  std::unique_ptr<Content> content_;
};

}  // namespace qd::observe::nginx
