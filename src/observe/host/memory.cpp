// Memory: /proc/meminfo and /proc/vmstat (Documentation/filesystems/proc.rst).

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class MeminfoPart final : public Part {
 public:
  MeminfoPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs + "/meminfo") {}
  std::string_view name() const override { return "meminfo"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    fields_.begin();
    std::size_t told = 0;
    Scanner lines(*text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      std::string_view key = words.word();
      std::uint64_t value = 0;
      if (!key.ends_with(':') || !words.number(value)) continue;
      key.remove_suffix(1);
      // Counts (HugePages_Total) have no unit.
      const bool kilobytes = words.word() == "kB";
      const auto& field = fields_.next(key, [&](NamedFields::Field& made) { name_field(made, key, kilobytes); });
      pass.sink.family(field.name, kGauge, field.help);
      pass.sink.sample(static_cast<double>(value) * (kilobytes ? 1024 : 1));
      ++told;
    }
    return told > 0 ? Outcome{} : Outcome::not_understood(file_.path());
  }

 private:
  // "Active(anon)" is node_memory_Active_anon_bytes.
  static void name_field(NamedFields::Field& field, std::string_view key, bool kilobytes) {
    constexpr std::string_view kPrefix = "node_memory_";
    field.name = kPrefix;
    append_name_part(field.name, key.ends_with(')') ? key.substr(0, key.size() - 1) : key);
    if (kilobytes) field.name += "_bytes";
    field.help = "Memory information field " + field.name.substr(kPrefix.size()) + ".";
  }

  KeptFile file_;
  NamedFields fields_;
};

class VmstatPart final : public Part {
 public:
  VmstatPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs + "/vmstat") {}
  std::string_view name() const override { return "vmstat"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    fields_.begin();
    Scanner lines(*text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view key = words.word();
      std::uint64_t value = 0;
      if (!wanted(key) || !words.number(value)) continue;
      const auto& field = fields_.next(key, [&](NamedFields::Field& made) {
        made.name = "node_vmstat_";
        append_name_part(made.name, key);
        made.help = "/proc/vmstat information field " + std::string(key) + ".";
      });
      pass.sink.family(field.name, kUnknown, field.help);
      pass.sink.sample(static_cast<double>(value));
    }
    return {};
  }

 private:
  // node_exporter's default: ^(oom_kill|pgpg|pswp|pg.*fault).*
  static bool wanted(std::string_view key) {
    return key.starts_with("pgpg") || key.starts_with("pswp") || key.starts_with("oom_kill") ||
           (key.starts_with("pg") && key.find("fault", 2) != std::string_view::npos);
  }

  KeptFile file_;
  NamedFields fields_;
};

}  // namespace

std::unique_ptr<Part> meminfo_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<MeminfoPart>(reader, roots);
}

std::unique_ptr<Part> vmstat_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<VmstatPart>(reader, roots);
}

}  // namespace qd::observe::host
