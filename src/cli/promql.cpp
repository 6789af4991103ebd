#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/command.h"
#include "query/promql/script.h"

namespace qd::cli {

namespace {

int test(const std::vector<std::string>& names, const Output& output) {
  base::PosixFiles files;
  std::size_t passed = 0;
  std::size_t failures = 0;
  boost::json::array list;
  const auto tell = [&](const std::string& file, std::size_t line, const std::string& expression,
                        const std::string& expected, const std::string& got) {
    ++failures;
    if (output.json()) {
      list.push_back(
          {{"file", file}, {"line", line}, {"expression", expression}, {"expected", expected}, {"got", got}});
    } else {
      fmt::print("{}:{}: {}\n  expected: {}\n  got: {}\n", file, line, expression, expected, got);
    }
  };
  for (const auto& name : names) {
    const auto text = base::read_file(files, name, kFileBytesMax);
    if (!text) return failed(text.error());
    const auto report = query::promql::run_script(*text, name);
    passed += report.passed;
    for (const auto& failure : report.failures)
      tell(failure.file, failure.line, failure.expression, failure.expected, failure.got);
  }
  if (output.json()) {
    fmt::print("{}\n", boost::json::serialize(boost::json::object{
                           {"passed", passed}, {"failed", failures}, {"failures", std::move(list)}}));
  } else {
    fmt::print("{} passed, {} failed\n", passed, failures);
  }
  return failures == 0 ? kExitYes : kExitNo;
}

}  // namespace

void add_promql(CommandLine& root) {
  auto promql = root.add_command("promql", "Work on PromQL without a server",
                                 "Example: quarterdeck promql test tests/scenarios/promql/rates.test");
  auto command = promql.add_command("test", "Run test scripts: load series, evaluate queries, compare",
                                    "Example: quarterdeck promql test tests/scenarios/promql/*.test");
  auto names = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<Output>();
  command.option("FILE", *names, "test scripts, in the reference engine's language", {.required = true});
  output->add_to(command);
  command.action([names, output] { return test(*names, *output); });
}

}  // namespace qd::cli
