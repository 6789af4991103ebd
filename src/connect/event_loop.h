// The threads on which Quarterdeck serves, waits and fetches: one Boost.Asio io_context run by a few threads.
//
// post, at and cancel may be called from any thread, before start and while it runs. Tasks run on the loop's threads,
// several at once; what must not overlap serialises itself. What is still queued at stop never runs and is destroyed
// with the loop, so everything that tasks refer to must outlive the loop or be stopped first (Server, Client).
//
// Writing to a peer that has gone is an error here, not a signal: the constructor has the process ignore SIGPIPE.
// connect/event_loop_asio.h gives rooms of this floor the io_context itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "base/scheduler.h"

namespace qd::connect {

class EventLoop final : public base::Scheduler {
 public:
  EventLoop();
  // Stops and joins. Not from one of the loop's own threads.
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Starts `threads` (at least one) and returns. Once in a loop's life. kUnavailable when the system gives no threads.
  base::Status start(std::size_t threads);
  // Has the threads end after the task that each runs now. From any thread, any number of times.
  void stop();
  // Waits until the threads have ended. Not from one of the loop's own threads.
  void join();
  // Between start and stop.
  bool running() const;

  const base::Clock& clock() const override;
  void post(Task task) override;
  TimerId at(std::int64_t at_ns, Task task) override;
  bool cancel(TimerId id) override;

  // Calls `task` on the loop each time the process gets `signal_number` (SIGTERM, SIGINT, SIGHUP), from now until the
  // loop is destroyed. One loop in a process may do this for a signal.
  base::Status on_signal(int signal_number, Task task);

  struct Impl;
  Impl& impl() { return *impl_; }  // for event_loop_asio.h

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace qd::connect
