#include "cli/block_uploads.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

namespace qd::cli {

namespace {

// How often it is looked whether a block is due, and how far back the first one is at most.
constexpr std::int64_t kLookEveryMs = 60'000;
constexpr std::int64_t kBackMs = 31LL * 24 * 60 * 60 * 1000;

}  // namespace

base::Result<std::unique_ptr<BlockUploads>> BlockUploads::open(const Surroundings& surroundings,
                                                               const Settings& settings) {
  if (!settings.objects.enabled()) return nullptr;
  std::unique_ptr<BlockUploads> uploads(new BlockUploads(surroundings, settings));
  QD_TRY(uploads->open_shipper(settings));
  return uploads;
}

BlockUploads::BlockUploads(const Surroundings& surroundings, const Settings& settings)
    : around_(surroundings), sender_(surroundings.client, settings.objects) {}

base::Status BlockUploads::open_shipper(const Settings& settings) {
  ship::objects::Surroundings surroundings{
      .send = [this](ship::objects::Outgoing request) { return sender_.send(std::move(request)); },
      .now_ms = [this] { return around_.clock.wall_ms(); },
      .wait_ms =
          [this](std::int64_t ms) {
            constexpr std::int64_t kSliceMs = 50;
            for (std::int64_t left = ms; left > 0 && !around_.stopping; left -= kSliceMs)
              std::this_thread::sleep_for(std::chrono::milliseconds(std::min(left, kSliceMs)));
            return !around_.stopping.load();
          },
  };
  std::map<std::string, std::string> labels;
  for (const model::Label& label : settings.observe.external_labels) labels.emplace(label.name, label.value);
  const std::int64_t retention_ms = settings.store.retention_ms;
  const std::int64_t back_ms = retention_ms > 0 ? std::min(retention_ms, kBackMs) : kBackMs;
  QD_ASSIGN(shipper_, ship::objects::Shipper::open(
                          around_.files, around_.store, std::filesystem::path(settings.data_dir) / "objects",
                          settings.objects, std::move(labels), around_.clock.wall_ms() - back_ms,
                          std::move(surroundings), around_.log, around_.registry));
  around_.log.info("uploading blocks", {{"endpoint", settings.objects.endpoint}, {"bucket", settings.objects.bucket}});
  return {};
}

void BlockUploads::start() {
  if (!around_.stopping && !uploading_.exchange(true)) {
    const auto queued = around_.waiting_pool.submit([this] {
      if (const auto shipped = shipper_->run(around_.clock.wall_ms());
          !shipped && shipped.error().code() != base::ErrorCode::kCancelled)
        around_.log.warn("a block could not be uploaded and will be tried again", {{"error", shipped.error()}});
      uploading_ = false;
    });
    if (!queued) uploading_ = false;
  }
  around_.loop.after_ms(kLookEveryMs, [this] {
    if (!around_.stopping) start();
  });
}

}  // namespace qd::cli
