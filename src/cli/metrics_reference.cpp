#include "cli/metrics_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "base/strings.h"
#include "observe/containers/families.h"
#include "observe/gpu/families.h"
#include "observe/host/families.h"
#include "observe/memcached/families.h"
#include "observe/mysql/families.h"
#include "observe/nginx/families.h"
#include "observe/postgres/families.h"
#include "observe/probe/families.h"
#include "observe/redis/families.h"

namespace qd::cli {
namespace {

using observe::FamilyInfo;
using observe::LeftOut;

// In a cell of a table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*' || c == '_') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

void add(std::string& out, std::string_view collector, std::string_view replaces, std::span<const FamilyInfo> families,
         std::span<const LeftOut> left_out) {
  out += fmt::format("\n## {}\n\nIn the place of {}.\n\n| metric | type | labels | what it is |\n|---|---|---|---|\n",
                     collector, replaces);
  std::vector<FamilyInfo> sorted(families.begin(), families.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& family : sorted) {
    std::string labels;
    for (const auto label : base::split(family.labels, ',')) {
      if (!label.empty()) labels += fmt::format("{}`{}`", labels.empty() ? "" : ", ", label);
    }
    out +=
        fmt::format("| `{}` | {} | {} | {} |\n", family.name, model::to_string(family.type), labels, cell(family.help));
  }
  if (left_out.empty()) return;
  out += "\nNot given:\n\n| metric | why |\n|---|---|\n";
  for (const auto& one : left_out) out += fmt::format("| `{}` | {} |\n", one.name, cell(one.reason));
}

}  // namespace

std::string metrics_reference() {
  std::string out =
      "# The built-in collectors\n\n"
      "Every metric of the built-in collectors, as `quarterdeck config --metrics` prints it from their own tables. "
      "A `*` stands for names that come from the kernel or the server. In the store, and where several instances are "
      "one page, each sample also has the label `instance`; a label of that name of its own is `exported_instance`.\n";
  add(out, "node", "node\\_exporter", observe::host::families(), observe::host::left_out());
  add(out, "cadvisor", "cAdvisor", observe::containers::families(), observe::containers::left_out());
  add(out, "postgres", "postgres\\_exporter", observe::postgres::families(), observe::postgres::left_out());
  add(out, "mysql", "mysqld\\_exporter", observe::mysql::families(), observe::mysql::left_out());
  add(out, "redis", "redis\\_exporter", observe::redis::families(), observe::redis::left_out());
  add(out, "memcached", "memcached\\_exporter", observe::memcached::families(), observe::memcached::left_out());
  add(out, "nginx", "nginx-prometheus-exporter and prometheus-nginxlog-exporter", observe::nginx::families(),
      observe::nginx::left_out());
  add(out, "blackbox", "blackbox\\_exporter", observe::probe::families(), observe::probe::left_out());
  add(out, "dcgm", "dcgm-exporter", observe::gpu::families(), observe::gpu::left_out());
  return out;
}

}  // namespace qd::cli
