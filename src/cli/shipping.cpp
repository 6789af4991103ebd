#include "cli/shipping.h"

#include <filesystem>
#include <random>

#include "observe/runner.h"
#include "ship/remote_write/post.h"

namespace qd::cli {

namespace {

// At the end, for what waits to be sent.
constexpr std::int64_t kGraceMs = 5'000;

bool syncs_each(const Settings& settings) {
  return settings.store.sync == store::metrics::StoreOptions::Sync::kCommit;
}

}  // namespace

base::Result<std::unique_ptr<Shipping>> Shipping::open(const Surroundings& surroundings, const Settings& settings) {
  std::unique_ptr<Shipping> shipping(new Shipping(surroundings));
  QD_TRY(shipping->open_shipper(settings));
  QD_TRY(shipping->open_forwarder(settings));
  return shipping;
}

Shipping::~Shipping() {
  stop();
}

base::Status Shipping::open_shipper(const Settings& settings) {
  shipper_ = std::make_unique<ship::remote_write::Shipper>(
      ship::remote_write::Shipper::Surroundings{
          .scheduler = around_.loop,
          .submit = [this](std::function<void()> task) { return around_.work_pool.submit(std::move(task)); },
          .post = ship::remote_write::post_to(around_.outbound.as_fetch()),
          .files = around_.files,
          .families = [this] { return around_.store.metadata(); },
          .log = around_.log,
          .registry = around_.registry},
      around_.store, std::filesystem::path(settings.data_dir) / "ship", std::random_device{}());
  return shipper_->apply(settings.ship.remote_write, settings.observe.external_labels, syncs_each(settings));
}

base::Status Shipping::open_forwarder(const Settings& settings) {
  if (!settings.forward.enabled()) return {};
  const auto post = ship::remote_write::post_by(around_.client, [this] { return around_.current()->forward; });
  const auto submit = [this](std::function<void()> task) { return around_.work_pool.submit(std::move(task)); };
  QD_ASSIGN(forwarder_, ship::remote_write::Forwarder::open(
                            {around_.loop, submit, post, around_.files, shipper_->store(),
                             [this] { return around_.store.metadata(); }, around_.log, around_.registry},
                            std::filesystem::path(settings.data_dir) / "forward",
                            {.bytes_max = settings.forward.queue_bytes, .sync_each = syncs_each(settings)},
                            {.host = settings.forward.host.empty() ? observe::host_name() : settings.forward.host,
                             .external_labels = settings.observe.external_labels},
                            std::random_device{}()));
  around_.log.info("forwarding",
                   {{"url", ship::remote_write::shown_url(ship::remote_write::write_url(settings.forward.url))}});
  return {};
}

void Shipping::start() {
  shipper_->start();
  if (forwarder_) forwarder_->start();
}

void Shipping::apply(const Settings& next) {
  const auto shipping = shipper_->apply(next.ship.remote_write, next.observe.external_labels, syncs_each(next));
  if (!shipping) around_.log.error("destinations stay as they were", {{"error", shipping.error()}});
  if (forwarder_) forwarder_->set_sync_each(syncs_each(next));
}

void Shipping::maintain() {
  if (maintaining_.exchange(true)) return;
  const auto queued = around_.work_pool.submit([this] {
    shipper_->maintain();
    if (forwarder_) forwarder_->maintain();
    maintaining_ = false;
  });
  if (!queued) maintaining_ = false;
}

void Shipping::stop() {
  if (stopped_) return;
  stopped_ = true;
  if (forwarder_) forwarder_->stop(kGraceMs);
  if (shipper_) shipper_->stop(kGraceMs);
}

}  // namespace qd::cli
