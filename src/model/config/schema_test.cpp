#include "model/config/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temp_directory.h"
#include "model/config/render.h"

namespace qd::model::config {
namespace {

using base::Status;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

struct Target {
  std::string url;
  std::int64_t timeout_ms = 10'000;
  std::map<std::string, std::string> labels;
};

// One setting of each kind.
struct Example {
  bool enabled = true;
  std::string procfs = "/proc";
  std::int64_t workers = 4;
  double ratio = 0.5;
  std::int64_t interval_ms = 15'000;
  std::uint64_t cache_bytes = 64ULL << 20;
  std::string mode = "fast";
  std::vector<std::string> ignore = {"loop", "ram"};
  std::string token;
  std::map<std::string, std::string> labels;
  Node extra;
  std::vector<Target> targets;
  std::map<std::string, Target> named;

  Schema schema;

  Example() {
    schema.section("observe.host", "The machine.");
    schema.flag("observe.host.enabled", enabled, "Whether it is observed.");
    schema.text("observe.host.procfs", procfs, "Where procfs is mounted.").only_at_start();
    schema.duration_ms("observe.interval", interval_ms, "How often.", 1000);
    schema.integer("workers", workers, "Threads.", 1, 64);
    schema.number("ratio", ratio, "A share.", 0, 1);
    schema.bytes("cache_size", cache_bytes, "Memory.", 1024);
    schema.choice("mode", mode, {"fast", "safe"}, "Which.").example("safe");
    schema.strings("observe.host.ignore", ignore, "Devices.");
    schema.secret("token", token, "For callers.");
    schema.text_map("labels", labels, "On every sample.");
    schema.node("extra", extra, "Whatever.");
    schema.list<Target>("targets", targets, "What to read.", [this](Schema& item, Target& target) {
      target.timeout_ms = interval_ms;
      declare(item, target);
    });
    schema.mapping("named", "By name.",
                   [this](std::string_view name, Schema& item) { declare(item, named[std::string(name)]); });
  }

  static void declare(Schema& item, Target& target) {
    item.text("url", target.url, "Where.").required();
    item.duration_ms("timeout", target.timeout_ms, "How long.");
    item.text_map("labels", target.labels, "On its samples.");
    item.check("url", [&target]() -> Status {
      if (target.url.starts_with("http")) return {};
      return base::fail(base::ErrorCode::kInvalid, "it must begin with http");
    });
  }

  Sources from(std::string_view yaml) {
    Sources sources;
    sources.file = parse_yaml(yaml, "q.yml").value();
    return sources;
  }
  std::string refused(const Sources& sources) {
    const auto status = schema.load(sources);
    EXPECT_FALSE(status);
    return status ? "" : status.error().message();
  }
};

std::string error_of(std::string_view yaml) {
  Example example;
  return example.refused(example.from(yaml));
}

TEST(Schema, without_sources_the_defaults_stand) {
  Example example;
  ASSERT_TRUE(example.schema.load({}));
  EXPECT_EQ(example.procfs, "/proc");
  EXPECT_EQ(example.interval_ms, 15'000);
  EXPECT_FALSE(example.schema.is_set("observe"));
}

TEST(Schema, the_file_fills_every_kind) {
  Example example;
  const auto status = example.schema.load(example.from(R"(
observe:
  interval: 1m
  host:
    enabled: off
    procfs: /host/proc
    ignore: [a, 7]
workers: 8
ratio: 0.25
cache_size: 1GiB
mode: safe
token: s3cret
labels: {zone: a, empty: }
extra: {any: [thing]}
targets:
  - url: http://a
    timeout: 5s
  - url: http://b
    labels: {x: y}
named:
  web: {url: http://c}
)"));
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_FALSE(example.enabled);
  EXPECT_EQ(example.procfs, "/host/proc");
  EXPECT_THAT(example.ignore, ElementsAre("a", "7"));
  EXPECT_EQ(example.workers, 8);
  EXPECT_EQ(example.ratio, 0.25);
  EXPECT_EQ(example.cache_bytes, 1ULL << 30);
  EXPECT_EQ(example.mode, "safe");
  EXPECT_EQ(example.token, "s3cret");
  EXPECT_THAT(example.labels, ElementsAre(Pair("empty", ""), Pair("zone", "a")));
  EXPECT_EQ(example.extra.find("any")->items()[0].text(), "thing");
  ASSERT_EQ(example.targets.size(), 2U);
  EXPECT_EQ(example.targets[0].timeout_ms, 5'000);
  // The item's default comes from a setting that is declared, and so filled, before the list.
  EXPECT_EQ(example.targets[1].timeout_ms, 60'000);
  EXPECT_EQ(example.named.at("web").url, "http://c");
  EXPECT_TRUE(example.schema.is_set("observe.host"));
  EXPECT_EQ(example.schema.where("observe.host.procfs"), "q.yml:6:13");
  EXPECT_EQ(example.schema.where("observe.host.absent"), "q.yml:4:3");
}

TEST(Schema, later_sources_override_earlier_ones) {
  const auto filled = [](int sources_used) {
    Example example;
    Sources sources;
    sources.environment = {{"PATH", "/bin"}};
    if (sources_used > 0) sources = example.from("observe: {host: {procfs: /file, ignore: [file]}}\nworkers: 2\n");
    if (sources_used > 1) sources.environment["QUARTERDECK_OBSERVE_HOST_PROCFS"] = "/environment";
    if (sources_used > 2) sources.sets = {"observe.host.procfs=/a=b", "workers=3"};
    if (sources_used > 3) sources.flags = {{"--procfs", "observe.host.procfs", "/flag"}};
    const auto status = example.schema.load(sources);
    EXPECT_TRUE(status) << status.error().message();
    return example.procfs + " " + std::to_string(example.workers);
  };
  EXPECT_EQ(filled(0), "/proc 4");
  EXPECT_EQ(filled(1), "/file 2");
  EXPECT_EQ(filled(2), "/environment 2");
  EXPECT_EQ(filled(3), "/a=b 3");
  EXPECT_EQ(filled(4), "/flag 3");
}

TEST(Schema, lists_and_mappings_outside_the_file) {
  Example example;
  Sources sources = example.from("targets: [{url: http://file}]\nobserve: {host: {ignore: [x]}}\n");
  sources.environment["QUARTERDECK_OBSERVE_HOST_IGNORE"] = "sda, sdb";
  sources.environment["QUARTERDECK_LABELS"] = "{zone: b}";
  sources.sets = {"targets=[{url: http://set}]"};
  ASSERT_TRUE(example.schema.load(sources));
  EXPECT_THAT(example.ignore, ElementsAre("sda", "sdb"));
  EXPECT_THAT(example.labels, ElementsAre(Pair("zone", "b")));
  ASSERT_EQ(example.targets.size(), 1U);
  EXPECT_EQ(example.targets[0].url, "http://set");

  Example bracketed;
  Sources with_commas;
  with_commas.sets = {"observe.host.ignore=[\"a,b\", c]"};
  ASSERT_TRUE(bracketed.schema.load(with_commas));
  EXPECT_THAT(bracketed.ignore, ElementsAre("a,b", "c"));
}

TEST(Schema, unknown_keys_are_refused_with_their_place_and_what_was_meant) {
  EXPECT_EQ(error_of("wokers: 1\n"), "q.yml:1:1: unknown key \"wokers\"; did you mean \"workers\"?");
  EXPECT_EQ(error_of("observe:\n  host:\n    procsf: /x\n"),
            "q.yml:3:5: unknown key \"procsf\" in observe.host; did you mean \"procfs\"?");
  EXPECT_EQ(error_of("procfs: /x\n"), "q.yml:1:1: unknown key \"procfs\"; did you mean observe.host.procfs?");
  EXPECT_THAT(error_of("observe:\n  zzz: 1\n"), HasSubstr("in observe; known here: host, interval"));
  EXPECT_EQ(error_of("targets:\n  - url: http://a\n    tiemout: 1s\n"),
            "q.yml:3:5: unknown key \"tiemout\" in targets[0]; did you mean \"timeout\"?");
  EXPECT_THAT(error_of("observe.host.procfs: /x\n"), HasSubstr("write it as nested mappings"));
  EXPECT_THAT(error_of("\"\": 1\n"), StartsWith("q.yml:1:1: unknown key \"\""));
}

TEST(Schema, values_of_the_wrong_type_say_what_is_expected) {
  EXPECT_EQ(error_of("observe: {interval: soon}\n").substr(0, 61),
            "q.yml:1:21: observe.interval: \"soon\" is not a duration; write");
  EXPECT_EQ(error_of("workers: many\n"), "q.yml:1:10: workers: expected an integer such as 10, found \"many\"");
  EXPECT_EQ(error_of("workers: 65\n"), "q.yml:1:10: workers: 65 is too large; 64 is the most");
  EXPECT_EQ(error_of("observe: {interval: 10ms}\n"),
            "q.yml:1:21: observe.interval: 10ms is too small; 1s is the least");
  EXPECT_EQ(error_of("cache_size: 1\n"), "q.yml:1:13: cache_size: 1 is too small; 1KiB is the least");
  EXPECT_THAT(error_of("ratio: .nan\n"), HasSubstr("ratio: NaN"));
  EXPECT_EQ(error_of("mode: slow\n"), "q.yml:1:7: mode: expected \"fast\" or \"safe\", found \"slow\"");
  EXPECT_EQ(error_of("observe: {host: {ignore: x}}\n"),
            "q.yml:1:26: observe.host.ignore: expected a list of texts, found \"x\"");
  EXPECT_EQ(error_of("observe: {host: {ignore: [x, [y]]}}\n"),
            "q.yml:1:30: observe.host.ignore[1]: expected a text, found a list");
  EXPECT_EQ(error_of("labels: {a: {}}\n"), "q.yml:1:13: labels.a: expected a text, found a mapping");
  EXPECT_EQ(error_of("observe: 5\n"), "q.yml:1:10: observe: expected a mapping with keys such as host, found \"5\"");
  EXPECT_EQ(error_of("[]\n"), "q.yml:1:1: expected a mapping with keys such as observe, found a list");
  EXPECT_EQ(error_of("targets: {}\n"), "q.yml:1:10: targets: expected a list, found a mapping");
  EXPECT_EQ(error_of("targets: [~]\n"), "q.yml:1:11: targets[0]: this item is empty; fill or remove it");
  EXPECT_EQ(error_of("targets: [x]\n"),
            "q.yml:1:11: targets[0]: expected a mapping with keys such as url, found \"x\"");
}

TEST(Schema, forgotten_values_are_errors_but_empty_sections_are_not) {
  EXPECT_EQ(error_of("workers:\nobserve:\n  host:\n"),
            "q.yml:1:1: workers has no value; write one (integer, 1 to 64) or remove the key");
  Example example;
  EXPECT_TRUE(example.schema.load(example.from("observe:\n  host:\ntargets:\nlabels:\n")));
  EXPECT_EQ(error_of("targets:\n  - timeout: 1s\n"), "q.yml:2:5: targets[0].url is missing; write it (text)");
}

TEST(Schema, all_errors_are_reported_together_in_the_order_of_the_file) {
  const std::string message =
      error_of("mode: slow\nworkers: x\nzzz: 1\ntargets: [{url: ftp}]\nobserve: {interval: 0}\n");
  EXPECT_THAT(message, StartsWith("5 errors in the configuration:\n  q.yml:1:7: mode"));
  std::size_t at = 0;
  for (const char* part :
       {"q.yml:1:", "q.yml:2:", "q.yml:3:", "q.yml:4:17: targets[0].url: it must begin with http", "q.yml:5:"}) {
    const auto next = message.find(part, at);
    ASSERT_NE(next, std::string::npos) << part << " in\n" << message;
    at = next;
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(error_of(many), HasSubstr("\n  and 80 more"));
}

TEST(Schema, unknown_names_outside_the_file_are_refused) {
  const auto refused = [](Sources sources) {
    Example example;
    return example.refused(sources);
  };
  EXPECT_EQ(refused({.environment = {{"QUARTERDECK_WORKER", "1"}}}),
            "environment QUARTERDECK_WORKER: no setting has this name; did you mean QUARTERDECK_WORKERS?");
  EXPECT_EQ(refused({.environment = {{"QUARTERDECK_WORKERS", "1.5"}}}),
            "environment QUARTERDECK_WORKERS: workers: expected an integer such as 10, found \"1.5\"");
  EXPECT_EQ(refused({.sets = {"worker=1"}}), "--set worker: there is no setting worker; did you mean workers?");
  EXPECT_EQ(refused({.sets = {"procfs=1"}}),
            "--set procfs: there is no setting procfs; did you mean observe.host.procfs?");
  EXPECT_THAT(refused({.sets = {"workers"}}), HasSubstr("expected path=value"));
  EXPECT_EQ(refused({.sets = {"observe.host=1"}}),
            "--set observe.host: observe.host is a section; set one of its keys: enabled, procfs, ignore");
  EXPECT_THAT(refused({.sets = {"targets=[{"}}), StartsWith("--set targets:2:1: this is not YAML"));
  EXPECT_THAT(refused({.flags = {{"--workers", "workers", "x"}}}), StartsWith("--workers: workers: expected"));
  Example example;
  EXPECT_TRUE(example.schema.load(
      {.environment = {{"QUARTERDECK_CONFIG", "x"}}, .other_environment_names = {"QUARTERDECK_CONFIG"}}));
}

TEST(Schema, secrets_come_from_files_and_variables_and_are_never_printed) {
  base::TempDirectory dir;
  base::PosixFiles files;
  ASSERT_TRUE(base::write_file_atomically(files, dir / "secret", "from file\n"));
  const auto loaded = [&](const std::string& written) {
    Example example;
    Sources sources;
    sources.files = &files;
    sources.environment = {{"MY_TOKEN", "from variable"}, {"QUARTERDECK_TOKEN", written}};
    const auto status = example.schema.load(sources);
    if (!status) return "error: " + status.error().message();
    EXPECT_THAT(render_effective(example.schema), HasSubstr("token: \"<secret>\""));
    EXPECT_THAT(render_effective(example.schema), Not(HasSubstr(example.token)));
    return example.token;
  };
  EXPECT_EQ(loaded("file:" + (dir / "secret").native()), "from file");
  EXPECT_EQ(loaded("env:MY_TOKEN"), "from variable");
  EXPECT_EQ(loaded("hunter2"), "hunter2");
  EXPECT_THAT(loaded("env:OTHER"), HasSubstr("token: the environment has no variable OTHER"));
  EXPECT_THAT(loaded("file:" + (dir / "absent").native()), HasSubstr("No such file"));
  EXPECT_THAT(loaded("file:relative"), HasSubstr("absolute path"));
  EXPECT_THAT(error_of("token: [hunter2]\n"), Not(HasSubstr("hunter2")));
}

TEST(Schema, checks_are_told_where_the_value_stands_and_skipped_when_it_failed) {
  struct Two {
    std::int64_t low = 1, high = 10;
    Schema schema;
    int looked = 0;
    Two() {
      schema.integer("range.low", low, "", 0, 100);
      schema.integer("range.high", high, "", 0, 100);
      schema.check("range", [this]() -> Status {
        ++looked;
        if (low <= high) return {};
        return base::fail(base::ErrorCode::kInvalid, "low must not pass high");
      });
    }
    std::string load(std::string_view yaml) {
      const auto status = schema.load({.file = parse_yaml(yaml, "q.yml").value()});
      return status ? "" : status.error().message();
    }
  };
  EXPECT_EQ(Two().load("# above\nrange:\n  low: 20\n"), "q.yml:2:1: range: low must not pass high");
  EXPECT_EQ(Two().load("range: {low: 5}\n"), "");
  Two failed;
  EXPECT_THAT(failed.load("range: {low: x}\n"), HasSubstr("expected an integer"));
  EXPECT_EQ(failed.looked, 0);
}

TEST(Schema, bind_reads_foreign_files_strictly_with_their_own_customs) {
  Example example;
  const Node node =
      parse_yaml("workers:\nmode: ~\ntoken: file:/not/read\ntargets:\n- url: http://a\n  timeout:\n", "p.yml").value();
  const auto status = bind(node, example.schema);
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(example.workers, 4);
  EXPECT_FALSE(example.schema.is_set("workers"));
  EXPECT_EQ(example.token, "file:/not/read");
  EXPECT_EQ(example.targets[0].timeout_ms, 15'000);
  Example strict;
  EXPECT_THAT(bind(parse_yaml("modus: 1\n", "p.yml").value(), strict.schema).error().message(),
              HasSubstr("unknown key"));
}

TEST(Schema, a_value_kept_from_the_file_may_be_bound_later) {
  Example example;
  ASSERT_TRUE(example.schema.load(example.from("extra:\n  url: http://late\n  tiemout: 1s\n")));
  Target target;
  Schema late;
  Example::declare(late, target);
  EXPECT_THAT(bind(example.extra, late).error().message(), StartsWith("q.yml:3:3: unknown key \"tiemout\""));
}

TEST(Schema, changes_that_need_a_restart_are_found) {
  Example before;
  Example same;
  Example after;
  ASSERT_TRUE(before.schema.load({}));
  ASSERT_TRUE(same.schema.load({.sets = {"workers=9", "observe.host.procfs=/proc"}}));
  ASSERT_TRUE(after.schema.load({.sets = {"observe.host.procfs=/other"}}));
  EXPECT_THAT(same.schema.keep_start_only(before.schema), ElementsAre());
  EXPECT_THAT(after.schema.keep_start_only(before.schema), ElementsAre("observe.host.procfs"));
  EXPECT_EQ(render_effective(after.schema), render_effective(before.schema)) << "what runs is what is shown";
}

TEST(Schema, the_effective_configuration_loads_to_the_same) {
  Example first;
  ASSERT_TRUE(first.schema.load(first.from(R"(
observe: {interval: 90s, host: {procfs: "a: b # c", ignore: ["", "yes", "0x1", "~", "a\"b\n"]}}
targets: [{url: http://a, labels: {"1": "on", x: "null"}}]
named: {"a.b": {url: http://c}}
ratio: 1e-7
)")));
  const std::string text = render_effective(first.schema);
  Example second;
  const auto status = second.schema.load(second.from(text));
  ASSERT_TRUE(status) << status.error().message() << "\n" << text;
  EXPECT_EQ(render_effective(second.schema), text);
  EXPECT_EQ(second.procfs, "a: b # c");
  EXPECT_THAT(second.ignore, ElementsAre("", "yes", "0x1", "~", "a\"b\n"));
  EXPECT_EQ(second.ratio, 1e-7);
  EXPECT_EQ(second.targets[0].labels.at("1"), "on");
  EXPECT_EQ(second.named.at("a.b").url, "http://c");
}

TEST(Schema, texts_outlive_the_fields) {
  auto example = std::make_unique<Target>();
  Schema schema;
  Example::declare(schema, *example);
  ASSERT_TRUE(schema.load({.sets = {"url=http://x"}}));
  example.reset();
  EXPECT_EQ(render_effective(schema), "url: http://x\ntimeout: 10s\nlabels: {}\n");
}

TEST(Schema, declaring_a_path_twice_or_inside_another_is_a_bug) {
  Schema schema;
  std::string value;
  schema.text("a.b", value, "");
  EXPECT_DEATH(schema.text("a.b", value, ""), "declared twice: a.b");
  EXPECT_DEATH(schema.text("a.b.c", value, ""), "a setting inside a setting");
  EXPECT_DEATH(schema.text("a", value, ""), "declared as a setting");
  EXPECT_DEATH(schema.check("a.x", [] { return Status(); }), "not declared");
}

TEST(Environment, is_split_at_the_first_equals_sign) {
  const char* const environment[] = {"A=b=c", "EMPTY=", "odd", nullptr};
  EXPECT_THAT(environment_of(environment), ElementsAre(Pair("A", "b=c"), Pair("EMPTY", "")));
}

}  // namespace
}  // namespace qd::model::config
