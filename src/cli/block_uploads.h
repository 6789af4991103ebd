// Blocks to an object store, for Thanos (ship.objects): looks every minute whether one is due, and uploads it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "cli/settings.h"
#include "connect/event_loop.h"
#include "connect/http/client.h"
#include "ship/objects/sender.h"
#include "ship/objects/shipper.h"
#include "store/metrics/store.h"

namespace qd::cli {

class BlockUploads {
 public:
  // All of it outlives the room and what loop and pool still hold of it.
  struct Surroundings {
    connect::EventLoop& loop;
    base::ThreadPool& waiting_pool;  // makes blocks and uploads them: the object store may be slow, or away
    connect::http::Client& client;
    base::Files& files;
    store::metrics::Store& store;
    const base::Clock& clock;
    base::Log& log;
    base::Registry& registry;
    const std::atomic<bool>& stopping;  // once set, no upload begins, and none waits to try again
  };

  // Null where nothing is to be uploaded.
  static base::Result<std::unique_ptr<BlockUploads>> open(const Surroundings& surroundings, const Settings& settings);
  BlockUploads(const BlockUploads&) = delete;
  BlockUploads& operator=(const BlockUploads&) = delete;

  // Uploads what is due now, and looks again and again.
  void start();
  // Requests that are under way fail, and so do later ones.
  void close() { sender_.close(); }

 private:
  BlockUploads(const Surroundings& surroundings, const Settings& settings);
  base::Status open_shipper(const Settings& settings);

  const Surroundings around_;
  ship::objects::Sender sender_;
  std::unique_ptr<ship::objects::Shipper> shipper_;
  std::atomic<bool> uploading_ = false;
};

}  // namespace qd::cli
