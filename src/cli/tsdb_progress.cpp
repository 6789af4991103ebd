#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/tsdb.h"

namespace qd::cli {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstAfter{1'000};
constexpr milliseconds kBarEvery{100};
constexpr milliseconds kLineEvery{5'000};
constexpr int kBarWidth = 30;

}  // namespace

WorkProgress::WorkProgress(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1), next_(Clock::now() + kFirstAfter) {
  ::sigemptyset(&held_);
  ::sigaddset(&held_, SIGINT);
  ::sigaddset(&held_, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
}

WorkProgress::~WorkProgress() {
  if (shown_ && terminal_) fmt::print(stderr, "\r\x1b[K");
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool WorkProgress::update(const store::prometheus::Progress& progress) {
  const timespec at_once{};
  if (::sigtimedwait(&held_, nullptr, &at_once) > 0) return false;
  const auto now = Clock::now();
  if (now < next_) return true;
  next_ = now + (terminal_ ? kBarEvery : kLineEvery);
  shown_ = true;
  const std::string counts = fmt::format("{} series, {} samples", grouped(progress.series), grouped(progress.samples));
  if (progress.part < 0) {
    fmt::print(stderr, "{}{}: {}{}", terminal_ ? "\r" : "", what_, counts, terminal_ ? "\x1b[K" : "\n");
    return true;
  }
  const int percent = static_cast<int>(std::clamp(progress.part, 0.0, 1.0) * 100);
  if (!terminal_) {
    fmt::print(stderr, "{}: {}%, {}\n", what_, percent, counts);
    return true;
  }
  const int full = percent * kBarWidth / 100;
  fmt::print(stderr, "\r{} [{}{}] {:>3}% {}\x1b[K", what_, std::string(static_cast<std::size_t>(full), '#'),
             std::string(static_cast<std::size_t>(kBarWidth - full), '.'), percent, counts);
  return true;
}

std::string grouped(std::uint64_t number) {
  std::string text = fmt::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

}  // namespace qd::cli
