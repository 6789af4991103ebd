#include "cli/app.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <random>
#include <thread>

#include "base/build.h"
#include "base/format.h"
#include "base/strings.h"
#include "base/thread_pool.h"
#include "cli/block_uploads.h"
#include "cli/data_dir.h"
#include "cli/file_watch.h"
#include "cli/notifications.h"
#include "cli/observers.h"
#include "cli/prometheus_directory.h"
#include "cli/prometheus_names.h"
#include "cli/shipping.h"
#include "cli/snapshots.h"
#include "connect/docker/client.h"
#include "connect/event_loop.h"
#include "connect/http/client.h"
#include "connect/http/http_config.h"
#include "connect/http/server.h"
#include "judge/rules/manager.h"
#include "model/config/reload.h"
#include "model/config/render.h"
#include "observe/gpu/watch.h"
#include "observe/host/config.h"
#include "observe/probe/probe_collector.h"
#include "observe/probe/probes.h"
#include "observe/registry_collector.h"
#include "observe/scrape/manager.h"
#include "observe/sd/discoveries.h"
#include "query/promql/engine.h"
#include "query/promql/parser.h"
#include "query/running/active_queries.h"
#include "query/running/gate.h"
#include "query/running/runner.h"
#include "serve/influx/write_api.h"
#include "serve/otlp/metrics_api.h"
#include "serve/platform/about.h"
#include "serve/platform/cardinality.h"
#include "serve/platform/inventory.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/read_api.h"
#include "serve/prometheus/write_api.h"
#include "serve/ui/page.h"
#include "ship/remote_write/post.h"
#include "store/state/database.h"

namespace qd::cli {

namespace {

using SettingsPtr = std::shared_ptr<const Settings>;

constexpr std::size_t kWorkQueueMax = 10'000;
constexpr std::size_t kQueryQueueMax = 1'000;
// As many servers may hang at once before others wait for their passes.
constexpr std::size_t kWaitingThreads = 16;
constexpr std::size_t kWaitingQueueMax = 1'000;
// So many declared targets may be silent at once before others' probes come late.
constexpr std::size_t kProbingThreadsMax = 100;
constexpr std::size_t kProbingQueueMax = 1'000;
constexpr std::int64_t kMaintainEveryMs = 1'000;

std::size_t cores() {
  return std::max(1U, std::thread::hardware_concurrency());
}

// A connection is a descriptor: take what the system gives.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

query::running::Asker rules_asker(std::string file = {}, std::string group = {}) {
  query::running::Asker asker;
  asker.principal = "rules";
  asker.rule_file = std::move(file);
  asker.rule_group = std::move(group);
  return asker;
}

query::running::Gate::Limits gate_limits(const Settings& settings) {
  return {.total = static_cast<std::size_t>(settings.queries.concurrency),
          .per_principal = static_cast<std::size_t>(settings.queries.concurrency_per_principal)};
}

// "15d", "10GiB", "15d or 10GiB".
std::string retention_text(const store::metrics::StoreOptions& options) {
  std::string text = options.retention_ms > 0 ? base::format_duration_ms(options.retention_ms) : "";
  if (options.retention_bytes > 0)
    text += fmt::format("{}{} bytes", text.empty() ? "" : " or ", options.retention_bytes);
  return text.empty() ? "unlimited" : text;
}

judge::rules::GroupDefaults group_defaults(const RuleSettings& rules) {
  return {.interval_ms = rules.evaluation_interval_ms, .query_offset_ms = rules.query_offset_ms};
}

// An engine that is nowhere is a fault only where one is asked for.
serve::platform::EngineState engine_state(const observe::discovery::EngineState& engine, bool required) {
  const bool none = engine.error && engine.error->code() == base::ErrorCode::kNotFound && !required;
  return {.state = engine.connected          ? "connected"
                   : engine.enabled && !none ? "away"
                                             : "off",
          .socket = engine.socket,
          .why = engine.error ? engine.error->message() : ""};
}

}  // namespace

// In order of construction: what stands further down uses what stands above, and goes first.
struct App::Rooms {
  Rooms(base::Files& f, base::Log& l) : files(f), log(l) {}

  base::Status open();
  base::Status start();
  void stop();
  void run();

  base::Status reload(const std::string& asked_by);
  void commit(const SettingsPtr& next);
  void tell_warnings() const;
  void maintain();
  // All that can be asked for: the store, and what is read beside it.
  const store::metrics::Querier& querier() const { return prometheus.querier(*store); }

  SettingsPtr current() const {
    base::MutexLock guard(settings_mutex);
    return settings;
  }

  base::Files& files;
  base::Log& log;
  base::SystemClock clock;
  base::Registry registry;
  Invocation invocation;
  std::unique_ptr<base::FileLock> dir_lock;

  mutable base::Mutex settings_mutex;
  SettingsPtr settings QD_GUARDED_BY(settings_mutex);
  base::Mutex reload_mutex;  // guards no data: one reload at a time
  std::atomic<bool> reload_succeeded = true;
  std::atomic<model::TimestampMs> reloaded_ms = 0;
  std::atomic<bool> ready = false;
  std::atomic<bool> stopping = false;

  std::unique_ptr<store::state::Database> database;
  std::unique_ptr<store::state::Tokens> tokens;
  std::unique_ptr<store::metrics::Store> store;
  PrometheusDirectory prometheus{files, clock, log, registry};
  // Constructed before the loop, so that what is queued on the loop at its end still finds them.
  std::unique_ptr<base::ThreadPool> query_pool;
  std::unique_ptr<query::promql::Engine> engine;
  std::unique_ptr<query::running::ActiveQueries> active_queries;
  std::unique_ptr<query::running::Runner> queries;
  std::unique_ptr<query::running::Gate> gate;
  std::unique_ptr<connect::EventLoop> loop;
  std::unique_ptr<base::ThreadPool> work_pool;
  std::unique_ptr<base::ThreadPool> waiting_pool;  // for passes that wait for servers
  std::unique_ptr<base::ThreadPool> probing_pool;  // for probes of declared targets
  std::unique_ptr<connect::http::Client> client;
  std::unique_ptr<connect::http::ConfiguredClient> outbound;  // by `client`, as Prometheus's files say
  std::unique_ptr<Shipping> shipping;
  std::unique_ptr<BlockUploads> block_uploads;  // null where nothing is uploaded
  std::unique_ptr<observe::probe::Probes> probes;
  std::unique_ptr<observe::CollectorRunner> collectors;
  std::unique_ptr<observe::scrape::Manager> scrapes;
  std::unique_ptr<observe::sd::Discoveries> targets_found;  // by the …_sd_configs of the Prometheus file
  std::unique_ptr<observe::Services> services;
  std::unique_ptr<observe::discovery::Discovery> discovery;
  std::unique_ptr<observe::gpu::Watch> gpus;
  base::Mutex pages_mutex;
  std::vector<observe::Page> pages QD_GUARDED_BY(pages_mutex);  // that discovery found
  std::unique_ptr<Notifications> notifications;
  std::unique_ptr<judge::rules::Manager> rules;
  std::unique_ptr<serve::Authenticator> authenticator;
  std::unique_ptr<serve::Router> router;
  std::unique_ptr<serve::prometheus::Sources> sources;
  std::unique_ptr<serve::platform::Inventory> inventory;
  std::unique_ptr<connect::http::Server> server;
  std::vector<std::unique_ptr<connect::http::Server>> drop_in_servers;

  FileWatch file_watch;
  std::atomic<bool> maintaining = false;
  std::unique_ptr<Snapshots> snapshots;
  base::Mutex end_mutex;
  base::CondVar end;
  bool ended QD_GUARDED_BY(end_mutex) = false;

 private:
  base::Status build_observers(const Settings& s);
  void build_gpus(const Settings& s);
  void build_judges(const Settings& s);
  base::Status build_server(const Settings& s);
  std::vector<std::string> listening(const Settings& s) const;
  Workbench workbench(const Settings& s);
  void declare_services(const Settings& s);
  void scrape(const std::optional<std::vector<observe::Page>>& found);
};

base::Status App::Rooms::open() {
  const auto s = current();
  const std::filesystem::path dir = s->data_dir;
  QD_ASSIGN(dir_lock, open_data_dir(files, dir));
  QD_ASSIGN(database, store::state::Database::open(dir / "state.db"));
  tokens = std::make_unique<store::state::Tokens>(*database);
  QD_ASSIGN(store, store::metrics::Store::open(files, dir / "metrics", s->store, log, registry));
  snapshots = std::make_unique<Snapshots>(files, dir);
  return s->prometheus_dir.empty() ? base::Status{} : prometheus.open(s->prometheus_dir, *store);
}

base::Status App::Rooms::start() {
  const auto s = current();
  raise_descriptor_limit();
  tell_warnings();
  query_pool = std::make_unique<base::ThreadPool>(std::max<std::size_t>(2, cores()), kQueryQueueMax);
  engine = std::make_unique<query::promql::Engine>(query_pool.get(), clock);
  active_queries = std::make_unique<query::running::ActiveQueries>(
      files, std::filesystem::path(s->data_dir) / "queries.active", log);
  queries = std::make_unique<query::running::Runner>(
      query::running::Runner::Parts{*engine, querier(), store->change_log(), *active_queries, files, clock, log,
                                    registry},
      s->queries);
  loop = std::make_unique<connect::EventLoop>();
  gate = std::make_unique<query::running::Gate>(*query_pool, *loop, registry, gate_limits(*s));
  work_pool = std::make_unique<base::ThreadPool>(std::max<std::size_t>(4, cores()), kWorkQueueMax);
  waiting_pool = std::make_unique<base::ThreadPool>(kWaitingThreads, kWaitingQueueMax);
  probing_pool =
      std::make_unique<base::ThreadPool>(kProbingThreadsMax, kProbingQueueMax, base::ThreadPool::Start::kAsNeeded);
  QD_ASSIGN(client, connect::http::Client::create(*loop, {}, registry));
  outbound = std::make_unique<connect::http::ConfiguredClient>(*client, clock);
  QD_ASSIGN(shipping, Shipping::open({.loop = *loop,
                                      .work_pool = *work_pool,
                                      .client = *client,
                                      .outbound = *outbound,
                                      .files = files,
                                      .store = *store,
                                      .log = log,
                                      .registry = registry,
                                      .current = [this] { return current(); }},
                                     *s));
  QD_ASSIGN(block_uploads, BlockUploads::open({.loop = *loop,
                                               .waiting_pool = *waiting_pool,
                                               .client = *client,
                                               .files = files,
                                               .store = *store,
                                               .clock = clock,
                                               .log = log,
                                               .registry = registry,
                                               .stopping = stopping},
                                              *s));
  add_prometheus_names(registry, *store, [this] {
    return ReloadFigures{.succeeded = reload_succeeded.load(), .succeeded_ms = reloaded_ms.load()};
  });
  QD_TRY(build_observers(*s));
  build_judges(*s);
  QD_TRY(build_server(*s));

  QD_TRY(observe::scrape::Manager::prepare(s->prometheus));
  QD_TRY(loop->start(cores()));
  shipping->start();
  collectors->start();
  scrape(std::nullopt);
  discovery->start();
  if (gpus) gpus->start();
  notifications->apply(*s);
  rules->apply(s->groups, group_defaults(s->rules));
  maintain();
  if (block_uploads) block_uploads->start();
  reloaded_ms = clock.wall_ms();
  file_watch.loaded(watched_files(*s, invocation));
  ready = true;
  auto addresses = listening(*s);
  if (!s->serve.unix_socket.empty()) addresses.push_back("unix:" + s->serve.unix_socket);
  log.info("serving", {{"address", base::join(addresses, ", ")},
                       {"external_url", sources->address},
                       {"version", base::build_version()},
                       {"commit", base::build_revision()}});
  fmt::print("Quarterdeck {} serves {}\n", base::build_version(), base::join(addresses, " "));
  std::fflush(stdout);
  return {};
}

std::vector<std::string> App::Rooms::listening(const Settings& s) const {
  std::vector<std::string> urls;
  for (const auto& address : server->addresses())
    urls.push_back((s.serve.tls_cert_file.empty() ? "http://" : "https://") + address);
  return urls;
}

base::Status App::Rooms::build_observers(const Settings& s) {
  collectors = std::make_unique<observe::CollectorRunner>(
      *loop, observe::RunnerPools{.computing = *work_pool, .waiting = *waiting_pool, .probing = *probing_pool},
      shipping->observed(), registry, log, s.observe);
  if (s.host.enabled) {
    QD_TRY(observe::host::check_roots(s.host));
    collectors->add(std::make_unique<observe::host::HostCollector>(s.host, clock, log));
  }
  collectors->add(std::make_unique<observe::RegistryCollector>(
      registry, observe::BuildInfo{.version = std::string(base::build_version()),
                                   .revision = std::string(base::build_revision()),
                                   .build = std::string(base::build_kind())}));
  if (s.observers.containers.enabled) {
    auto containers = s.observers.containers;
    containers.procfs = s.host.procfs;
    containers.sysfs = s.host.sysfs;
    containers.rootfs = s.host.rootfs;
    collectors->add(std::make_unique<observe::containers::ContainersCollector>(
        containers, [this] { return discovery->containers(); }, clock));
  }
  probes = std::make_unique<observe::probe::Probes>(clock, registry);
  probes->set_modules(s.observers.blackbox.modules);
  collectors->add(std::make_unique<observe::probe::SelfCollector>(*probes, [this] {
    return observe::probe::ReloadState{.succeeded = reload_succeeded.load(),
                                       .time_s = static_cast<double>(reloaded_ms.load()) / 1e3};
  }));
  services = std::make_unique<observe::Services>(*collectors, log);
  add_kinds(*services, workbench(s));
  services->on_pages([this](const std::vector<observe::Page>& found) { scrape(found); });
  auto finding = s.observers.discovery;
  finding.procfs = s.host.procfs;
  const auto submit = [this](std::function<void()> task) { return waiting_pool->submit(std::move(task)); };
  discovery = std::make_unique<observe::discovery::Discovery>(
      observe::discovery::Surroundings{*loop, submit, connect::docker::fetch_by(*client), log, registry}, finding,
      [this] { services->found(discovery->services()); });
  build_gpus(s);
  declare_services(s);
  auto scraping = s.scrape;
  scraping.user_agent = fmt::format("Quarterdeck/{}", base::build_version());
  scrapes = std::make_unique<observe::scrape::Manager>(
      *loop, [this](std::function<void()> task) { return work_pool->submit(std::move(task)); }, outbound->as_fetch(),
      shipping->observed(), log, registry, scraping);
  targets_found =
      std::make_unique<observe::sd::Discoveries>(observe::sd::Surroundings{.scheduler = *loop,
                                                                           .submit = submit,
                                                                           .fetch = outbound->as_fetch(),
                                                                           .log = log,
                                                                           .registry = registry,
                                                                           .user_agent = scraping.user_agent},
                                                 [this](const std::string& job, observe::sd::TargetGroups groups) {
                                                   scrapes->set_groups(job, std::move(groups));
                                                 });
  return {};
}

void App::Rooms::build_gpus(const Settings& s) {
  if (s.observers.gpu.enabled == "off") return;
  auto options = s.observers.gpu;
  options.procfs = s.host.procfs;
  const auto make = [this, options] {
    return std::make_unique<observe::gpu::GpuCollector>(
        options, observe::host_name(), [this] { return discovery->containers(); },
        std::make_shared<const base::SystemClock>());
  };
  const auto add = [this](std::unique_ptr<observe::gpu::GpuCollector> collector) {
    collectors->add(std::move(collector), {.work = observe::Work::kWaits});
  };
  if (options.enabled == "on") return add(make());
  const auto submit = [this](std::function<void()> task) { return waiting_pool->submit(std::move(task)); };
  gpus = std::make_unique<observe::gpu::Watch>(*loop, submit, log, make, add);
}

Workbench App::Rooms::workbench(const Settings& s) {
  return {.client = *client,
          .clock = clock,
          .log = log,
          .legacy_names = s.exporters.legacy_names,
          .cancel_probes = probes->cancel_token()};
}

void App::Rooms::declare_services(const Settings& s) {
  auto declared = declared_services(s.observers, workbench(s));
  std::vector<observe::Service> known;
  known.reserve(declared.size());
  for (const auto& one : declared) known.push_back(one.service);
  services->declare(std::move(declared), s.observers.tuning);
  discovery->set_declared(std::move(known));
}

// What the Prometheus file in force says, and the pages that were found: other ones from now on, where they are given.
void App::Rooms::scrape(const std::optional<std::vector<observe::Page>>& found) {
  base::MutexLock lock(pages_mutex);
  const auto s = current();
  if (found) {
    pages.clear();
    for (const auto& page : *found) {
      // One that makes no target is left out alone.
      const auto alone = observe::scrape::Manager::prepare(with_pages({}, {page}, s->observe.interval_ms));
      if (alone) {
        pages.push_back(page);
      } else {
        log.warn("a page that was found cannot be scraped", {{"service", page.service.name}, {"error", alone.error()}});
      }
    }
  }
  auto plan = observe::scrape::Manager::prepare(with_pages(s->prometheus, pages, s->observe.interval_ms));
  if (!plan) return log.error("pages that were found cannot be scraped", {{"error", plan.error()}});
  scrapes->commit(std::move(*plan));
  std::vector<observe::sd::Discoveries::Job> jobs;
  for (const auto& job : s->prometheus.scrape_configs)
    jobs.push_back({.name = job.job_name, .configs = job.sd_configs});
  targets_found->apply(jobs);
}

void App::Rooms::build_judges(const Settings& s) {
  notifications = std::make_unique<Notifications>(Notifications::Surroundings{.loop = *loop,
                                                                              .waiting_pool = *waiting_pool,
                                                                              .client = *client,
                                                                              .outbound = *outbound,
                                                                              .log = log,
                                                                              .registry = registry});
  const base::CancelToken cancel;
  const auto run = [this, cancel](const query::running::Asker& asker, std::string_view text,
                                  model::TimestampMs time_ms) -> base::Result<query::promql::QueryResult> {
    auto options = current()->query;
    options.cancel = cancel;
    const auto began_ns = clock.monotonic_ns();
    QD_ASSIGN(const auto expr, query::promql::parse(text, {.experimental = options.experimental}));
    return queries->instant(asker, *expr, text, time_ms, options, {.parse_ns = clock.monotonic_ns() - began_ns});
  };
  judge::rules::Workplace workplace{
      .query = [run](std::string_view expr, model::TimestampMs time_ms) { return run(rules_asker(), expr, time_ms); },
      .store = shipping->recorded(),
      .clock = clock,
      .log = log,
      .registry = registry,
      .external_labels = s.observe.external_labels,
      .external_url = s.external_url,
      .cancel = cancel,
      .history = &querier(),
      .restore = s.rules.restore,
      .pool = work_pool.get(),
      .permits = std::make_shared<judge::rules::Permits>(static_cast<std::size_t>(s.rules.concurrent_evaluations)),
      .rule_query = [run](
                        const judge::rules::Group& group, std::string_view expr,
                        model::TimestampMs time_ms) { return run(rules_asker(group.file, group.name), expr, time_ms); },
  };
  rules = std::make_unique<judge::rules::Manager>(
      std::move(workplace), *loop, *work_pool,
      [this](const judge::rules::GroupStatus& group, const std::vector<judge::rules::Alert>& alerts) {
        notifications->update(group, alerts);
      });
}

base::Status App::Rooms::build_server(const Settings& s) {
  authenticator = std::make_unique<serve::Authenticator>(s.serve, *tokens);
  router = std::make_unique<serve::Router>(*authenticator, *query_pool, log, registry);
  std::vector<std::pair<std::string, std::string>> flags;
  flags.reserve(invocation.flags.size() + 1 + invocation.sets.size());
  for (const auto& flag : invocation.flags) {
    const bool url = flag.path == "forward.url";
    flags.emplace_back(flag.origin.substr(flag.origin.find_first_not_of('-')),
                       url ? ship::remote_write::shown_url(flag.value) : flag.value);
  }
  flags.emplace_back("config", invocation.config_file);
  for (const auto& set : invocation.sets) flags.emplace_back("set." + set.substr(0, set.find('=')), "");
  sources = std::make_unique<serve::prometheus::Sources>(serve::prometheus::Sources{
      .store = *store,
      .querier = querier(),
      .queries = *queries,
      .gate = *gate,
      .rules = *rules,
      .scrapes = *scrapes,
      .collectors = *collectors,
      .probes = *probes,
      .clock = clock,
      .query_options = [this] { return current()->query; },
      .config_yaml = [this] { return model::config::render_effective(current()->schema); },
      .flags = std::move(flags),
      .damaged_parts = [&parts =
                            registry.counter("quarterdeck_store_damaged_parts_total", "")] { return parts.value(); },
      .retention = [this] { return retention_text(current()->store); },
      .alertmanagers = [this] { return notifications->alertmanagers(); },
      .dropped_alertmanagers = [this] { return notifications->dropped_alertmanagers(); },
      .reload = [this](const serve::Principal& principal) { return reload(principal.to_string()); },
      .reload_succeeded = [this] { return reload_succeeded.load(); },
      .snapshot =
          [this](bool skip_head) {
            std::random_device random;
            const std::uint64_t suffix = std::uint64_t{random()} << 32 | random();
            return snapshots->take(*store, clock.wall_ms(), suffix, skip_head);
          },
      .last_reload_ms = [this] { return reloaded_ms.load(); },
      .ready = [this] { return ready.load(); },
      .started_ms = clock.wall_ms(),
  });
  serve::prometheus::add_routes(*router, *sources);
  serve::prometheus::add_write_route(*router, shipping->received(), clock, log, registry);
  serve::otlp::add_metrics_routes(*router, shipping->received(), clock, log, registry,
                                  [this] { return current()->otlp; });
  serve::influx::add_routes(*router, shipping->received(), clock, log, registry);
  serve::prometheus::add_read_route(*router, querier(), *query_pool, log, registry);
  inventory = std::make_unique<serve::platform::Inventory>(serve::platform::Inventory{
      .services =
          [this] {
            auto statuses = services->statuses();
            tell_pages(statuses, scrapes->targets());
            return statuses;
          },
      .containers = [this] { return discovery->containers(); },
      .engine = [this, required = s.observers.discovery.docker ==
                                  "on"] { return engine_state(discovery->engine(), required); },
      .complaints = [this] { return discovery->complaints(); },
  });
  serve::platform::add_inventory_routes(*router, *inventory);
  serve::platform::add_cardinality_route(*router, *store);
  serve::platform::add_about_route(*router, {.data_dir = std::filesystem::absolute(s.data_dir).string()});
  serve::ui::add_routes(*router);
  connect::http::ServerOptions options;
  options.listen = s.serve.listen;
  options.unix_socket_path = s.serve.unix_socket;
  if (!s.serve.tls_cert_file.empty())
    options.tls = connect::http::ServerTls{.cert_file = s.serve.tls_cert_file, .key_file = s.serve.tls_key_file};
  if (s.serve.access_log) options.access_log = &log;
  QD_ASSIGN(server, connect::http::Server::start(
                        *loop, options,
                        [this](connect::http::Request request, connect::http::Reply reply) {
                          router->handle(std::move(request), std::move(reply));
                        },
                        log, registry));
  const auto urls = listening(s);
  options.listen.clear();
  options.unix_socket_path.clear();
  QD_ASSIGN(drop_in_servers, serve::prometheus::open_drop_in_ports(s.exporters, *loop, options, *authenticator,
                                                                   *query_pool, *collectors, *probes, log, registry));
  sources->address = !s.external_url.empty() ? s.external_url : urls.empty() ? "http://localhost" : urls.front();
  notifications->set_origin({.external_url = sources->address, .external_labels = s.observe.external_labels});
  return {};
}

void App::Rooms::maintain() {
  loop->after_ms(kMaintainEveryMs, [this] {
    if (stopping) return;
    // What takes longer than a second leaves out its next turns.
    if (!maintaining.exchange(true)) {
      const auto queued = work_pool->submit([this] {
        // A failure is logged and counted by the store, which tries again the next time.
        static_cast<void>(store->maintain(clock.wall_ms()));
        if (current()->watch_files && file_watch.changed()) static_cast<void>(reload("a changed file"));
        maintaining = false;
      });
      if (!queued) maintaining = false;
    }
    // Beside it: sealing and merging may take minutes, what is queued is to be on the device within seconds, and a
    // Prometheus's log may take a while to read.
    shipping->maintain();
    prometheus.refresh(*work_pool);
    maintain();
  });
}

base::Status App::Rooms::reload(const std::string& asked_by) {
  base::MutexLock lock_reload(reload_mutex);
  if (stopping) return base::fail(base::ErrorCode::kCancelled, "the process is stopping");
  // Before the files are read, and for a broken one too: each change is tried once.
  file_watch.loaded(watched_files(*current(), invocation));
  SettingsPtr next;
  std::vector<std::string> need_restart;
  const model::config::Participant participants[] = {
      {.name = "settings",
       .prepare = [&]() -> base::Result<model::config::Participant::Commit> {
         QD_ASSIGN(auto loaded, load_settings(invocation, files));
         need_restart = keep_start_only(*loaded, *current());
         next = std::move(loaded);
         return [&] { commit(next); };
       }},
      {.name = "scraping",
       .prepare = [&]() -> base::Result<model::config::Participant::Commit> {
         if (!next) return [] {};
         QD_TRY(observe::scrape::Manager::prepare(next->prometheus));
         return [&] { scrape(std::nullopt); };
       }},
      {.name = "certificates",
       .prepare = [&]() -> base::Result<model::config::Participant::Commit> {
         if (current()->serve.tls_cert_file.empty()) return [] {};
         return server->prepare_tls();
       }},
  };
  const auto done = model::config::reload(participants);
  reload_succeeded = done.has_value();
  if (!done) {
    log.error("reload refused, the configuration stays as it was", {{"asked_by", asked_by}, {"error", done.error()}});
    return done;
  }
  reloaded_ms = clock.wall_ms();
  file_watch.watch(watched_files(*current(), invocation));
  tell_warnings();
  for (const auto& path : need_restart) log.warn("a changed setting needs a restart", {{"setting", path}});
  log.info("reloaded", {{"asked_by", asked_by}});
  return {};
}

void App::Rooms::tell_warnings() const {
  for (const auto& warning : current()->warnings)
    log.warn("part of the configuration was passed over", {{"what", warning}});
}

void App::Rooms::commit(const SettingsPtr& next) {
  {
    base::MutexLock lock_settings(settings_mutex);
    settings = next;
  }
  store->set_options(next->store);
  queries->apply(next->queries);
  gate->set_limits(gate_limits(*next));
  shipping->apply(*next);
  collectors->set_interval_ms(next->observe.interval_ms);
  probes->set_modules(next->observers.blackbox.modules);
  declare_services(*next);
  notifications->apply(*next);
  rules->apply(next->groups, group_defaults(next->rules));
}

void App::Rooms::run() {
  const auto stop_on = [this](int signal) {
    const auto watched = loop->on_signal(signal, [this] {
      base::MutexLock lock_end(end_mutex);
      ended = true;
      end.notify_all();
    });
    if (!watched) log.error("a signal cannot be watched", {{"error", watched.error()}});
  };
  stop_on(SIGTERM);
  stop_on(SIGINT);
  const auto watched = loop->on_signal(SIGHUP, [this] {
    const auto queued = work_pool->submit([this] { static_cast<void>(reload("SIGHUP")); });
    if (!queued) log.error("reload refused", {{"error", queued.error()}});
  });
  if (!watched) log.error("a signal cannot be watched", {{"error", watched.error()}});
  {
    base::MutexLock lock_end(end_mutex);
    while (!ended) end.wait(end_mutex);
  }
  log.info("stopping");
  stop();
  log.info("stopped");
}

void App::Rooms::stop() {
  ready = false;
  stopping = true;
  // One that is under way uses what goes now.
  {
    base::MutexLock reload_ends(reload_mutex);
  }
  if (gate) gate->close();
  if (probes) probes->stop();  // whoever waits for one is told before the server ends
  if (server) server->stop();
  for (const auto& port : drop_in_servers) port->stop();
  if (rules) rules->stop();
  if (gpus) gpus->stop();
  if (discovery) discovery->stop();
  if (targets_found) targets_found->stop();
  if (scrapes) scrapes->stop();
  if (collectors) collectors->stop();
  if (notifications) notifications->stop();
  if (shipping) shipping->stop();
  drop_in_servers.clear();
  server.reset();
  if (outbound) outbound->close();
  if (block_uploads) block_uploads->close();
  client.reset();
  waiting_pool.reset();
  probing_pool.reset();
  work_pool.reset();
  if (loop) {
    loop->stop();
    loop->join();
  }
  // What it still runs for callers who are gone uses rooms that go before it.
  query_pool.reset();
}

App::App(std::unique_ptr<Rooms> rooms) : rooms_(std::move(rooms)) {}
App::~App() {
  rooms_->stop();
}

base::Result<std::unique_ptr<App>> App::create(Invocation invocation, base::Files& files, base::Log& log) {
  auto rooms = std::make_unique<Rooms>(files, log);
  QD_ASSIGN(auto settings, load_settings(invocation, files));
  rooms->invocation = std::move(invocation);
  {
    base::MutexLock lock(rooms->settings_mutex);
    rooms->settings = std::move(settings);
  }
  std::unique_ptr<App> app(new App(std::move(rooms)));
  QD_TRY(app->rooms_->open());
  QD_TRY(app->rooms_->start());
  return app;
}

void App::run() {
  rooms_->run();
}

}  // namespace qd::cli
