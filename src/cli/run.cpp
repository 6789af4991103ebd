#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/format.h"
#include "cli/app.h"
#include "cli/command.h"
#include "observe/gpu/own_thread.h"

namespace qd::cli {

namespace {

struct RunFlags {
  SettingFlags settings;
  std::vector<std::string> listen;
  std::string prometheus;
  std::string forward;
  std::string log_level = "info";
  std::string log_format = "auto";
};

int run(const RunFlags& flags) {
  const auto level = base::parse_log_level(flags.log_level);
  if (!level) return failed(level.error());
  const auto format = base::parse_log_format(flags.log_format);
  if (!format) return failed(format.error());
  auto invocation = flags.settings.invocation();
  if (!flags.listen.empty())
    invocation.flags.push_back({.origin = "--listen", .path = "serve.listen", .value = base::join(flags.listen, ",")});
  if (!flags.prometheus.empty())
    invocation.flags.push_back(
        {.origin = "--prometheus", .path = "observe.prometheus_file", .value = flags.prometheus});
  if (!flags.forward.empty())
    invocation.flags.push_back({.origin = "--forward", .path = "forward.url", .value = flags.forward});
  base::SystemClock clock;
  base::Log log(clock, STDERR_FILENO, *format, *level);
  base::PosixFiles files;
  auto app = App::create(std::move(invocation), files, log);
  if (!app) return failed(app.error());
  (*app)->run();
  app->reset();
  if (observe::gpu::OwnThread::any_left_behind()) {
    // Everything is closed. exit() would wait for the driver that hangs while it is loaded.
    std::fflush(nullptr);
    ::_exit(kExitYes);
  }
  return kExitYes;
}

}  // namespace

void add_run(CommandLine& root) {
  auto command = root.add_command(
      "run", "Watch, store, judge and serve until stopped",
      "Examples:\n"
      "  quarterdeck run\n"
      "  quarterdeck run --listen 127.0.0.1:9090 --prometheus prometheus.yml --set store.metrics.retention=30d\n"
      "  quarterdeck run --forward https://deck.example.org:9090 --set forward.token=file:/etc/quarterdeck/token");
  auto flags = std::make_shared<RunFlags>();
  flags->settings.add_to(command);
  command.option("--listen", flags->listen, "an address to serve on (serve.listen), 127.0.0.1:9090 by default",
                 {.value_name = "HOST:PORT"});
  command.option("--prometheus", flags->prometheus, "a Prometheus file to take over (observe.prometheus_file)",
                 {.value_name = "FILE"});
  command.option("--forward", flags->forward, "where to send what is observed here (forward.url)",
                 {.value_name = "URL"});
  command.option("--log-level", flags->log_level, "debug, info, warn or error", {.shows_default = true});
  command.option("--log-format", flags->log_format, "json, text, or auto: text on a terminal", {.shows_default = true});
  command.action([flags] { return run(*flags); });
}

}  // namespace qd::cli
