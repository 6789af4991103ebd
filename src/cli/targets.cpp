#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <vector>

#include "cli/command.h"
#include "cli/remote.h"

namespace qd::cli {
namespace {

namespace json = boost::json;

struct TargetFlags {
  Remote remote;
  Output output;
};

struct Row {
  std::string kind;
  std::string name;
  std::string address;
  std::string found;
  std::string state;
  std::string why;
};

std::string field(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value && !value->is_null() ? text_of(*value) : std::string();
}

Row row_of_service(const json::object& service) {
  auto found = field(service, "foundBy");
  return {field(service, "kind"),    field(service, "name"),
          field(service, "address"), found.empty() ? field(service, "origin") : std::move(found),
          field(service, "state"),   field(service, "why")};
}

Row row_of_target(const json::object& target) {
  const auto& labels = target.at("labels").as_object();
  return {"target",
          field(labels, "job"),
          field(labels, "instance"),
          field(target, "scrapeUrl"),
          field(target, "health"),
          field(target, "lastError")};
}

// Built-in collectors stand among the targets as well; those of services are told by the services.
bool is_service(const json::object& target, const std::vector<Row>& services) {
  const auto row = row_of_target(target);
  return std::any_of(services.begin(), services.end(),
                     [&](const Row& one) { return one.kind == row.name && one.address == row.address; });
}

void print_table(const std::vector<Row>& rows) {
  constexpr std::array<const char*, 5> kTitles = {"STATE", "KIND", "NAME", "ADDRESS", "FOUND BY"};
  const auto cells = [](const Row& row) {
    return std::array<std::string_view, 5>{row.state, row.kind, row.name, row.address, row.found};
  };
  std::array<std::size_t, 5> widths{};
  for (std::size_t i = 0; i < kTitles.size(); ++i) widths[i] = std::string_view(kTitles[i]).size();
  for (const auto& row : rows) {
    const auto texts = cells(row);
    for (std::size_t i = 0; i < texts.size(); ++i) widths[i] = std::max(widths[i], texts[i].size());
  }
  const auto print = [&](const std::array<std::string_view, 5>& texts) {
    std::string line;
    for (std::size_t i = 0; i < texts.size(); ++i) line += fmt::format("{:<{}}  ", texts[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  };
  print({kTitles[0], kTitles[1], kTitles[2], kTitles[3], kTitles[4]});
  for (const auto& row : rows) {
    print(cells(row));
    if (!row.why.empty()) fmt::print("    {}\n", row.why);
  }
}

base::Result<json::value> get(const Remote& remote, const char* path) {
  QD_ASSIGN(const auto response, ask(remote, path));
  return data_of(remote, response);
}

int targets(const TargetFlags& flags) {
  const auto services = get(flags.remote, "/api/platform/v1/services");
  if (!services) return failed(services.error());
  const auto scraped = get(flags.remote, "/api/v1/targets?state=active");
  if (!scraped) return failed(scraped.error());
  try {
    const auto& list = services->as_object().at("services").as_array();
    const auto& active = scraped->as_object().at("activeTargets").as_array();
    std::vector<Row> rows;
    for (const auto& service : list) rows.push_back(row_of_service(service.as_object()));
    const auto of_services = rows;
    json::array others;
    for (const auto& target : active) {
      if (is_service(target.as_object(), of_services)) continue;
      others.push_back(target);
      rows.push_back(row_of_target(target.as_object()));
    }
    if (flags.output.json()) {
      fmt::print("{}\n",
                 json::serialize(json::object{
                     {"services", list}, {"targets", others}, {"complaints", services->as_object().at("complaints")}}));
    } else {
      print_table(rows);
      for (const auto& text : services->as_object().at("complaints").as_array()) fmt::print("\n{}\n", text_of(text));
    }
    return kExitYes;
  } catch (const std::exception& error) {
    return failed({base::ErrorCode::kUnavailable,
                   fmt::format("{} answered what no list of targets is: {}", flags.remote.url, error.what())});
  }
}

}  // namespace

void add_targets(CommandLine& root) {
  auto command = root.add_command("targets", "List what a running Quarterdeck watches, how it was found, and how it is",
                                  "Examples:\n"
                                  "  quarterdeck targets\n"
                                  "  quarterdeck targets --output json --url https://deck.example.org:9090");
  auto flags = std::make_shared<TargetFlags>();
  flags->remote.add_to(command);
  flags->output.add_to(command);
  command.action([flags] { return targets(*flags); });
}

}  // namespace qd::cli
