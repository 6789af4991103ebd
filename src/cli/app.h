// The program: builds the rooms, ties them, and takes them down in order.
//
// One App in a process. run() blocks until a signal ends it.
#pragma once

#include <memory>

#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "cli/settings.h"

namespace qd::cli {

class App {
 public:
  // Everything that can be refused is refused here: settings, data directory, addresses. `files` and `log` outlive it.
  static base::Result<std::unique_ptr<App>> create(Invocation invocation, base::Files& files, base::Log& log);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Serves until SIGTERM or SIGINT. SIGHUP reloads.
  void run();

 private:
  struct Rooms;
  explicit App(std::unique_ptr<Rooms> rooms);
  std::unique_ptr<Rooms> rooms_;
};

}  // namespace qd::cli
