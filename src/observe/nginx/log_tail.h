// A log file followed as `tail -F` follows one: from its end on, through rotation by renaming and by copying and
// cutting, over the hours in which it is not there.
//
// The descriptor is kept. A file that was renamed is read to its end once more in the next pass, since nginx writes to
// it until its workers have opened the new one. A file that is smaller than what was read, or whose bytes in front of
// the place reached are not what they were, was cut: it is read from its start. A line whose end is not written yet
// waits. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace qd::observe::nginx {

class LineSink {
 public:
  virtual ~LineSink() = default;
  // Without its end; valid during the call.
  virtual void line(std::string_view text) = 0;
  // A line past kLineBytesMax was passed over.
  virtual void overlong_line() = 0;
};

// Makes lines of bytes that come in pieces.
class LineReader {
 public:
  static constexpr std::size_t kLineBytesMax = 64 << 10;

  void feed(std::string_view bytes, LineSink& sink);
  // There will be no more: what waits is a line.
  void finish(LineSink& sink);
  // Forgets what waits.
  void reset();
  // What comes is the rest of a line that is not wanted.
  void skip_to_line_end() { skipping_ = true; }

 private:
  std::string waiting_;
  bool skipping_ = false;
};

class LogTail {
 public:
  // What a pass reads at most; the rest waits for the next one.
  static constexpr std::uint64_t kPassBytesMax = 64 << 20;

  explicit LogTail(std::string path) : path_(std::move(path)) {}

  // Tells the lines that came since the last call. Errors (kNotFound, kPermission, kInvalid for what is no regular
  // file, kUnavailable) name the file and the cure; it is tried again the next time. `deadline_ns` is looked at between
  // pieces of kPieceBytes.
  base::Status read(std::int64_t deadline_ns, const base::Clock& clock, LineSink& sink);

  // What the last call left, for lack of time or because of kPassBytesMax.
  std::uint64_t bytes_behind() const { return behind_; }

 private:
  static constexpr std::size_t kPieceBytes = 128 << 10;
  static constexpr std::size_t kMarkBytes = 32;

  // A descriptor and how far it was read.
  class Followed {
   public:
    Followed() = default;
    ~Followed() { close(); }
    Followed(Followed&& other) noexcept;
    Followed& operator=(Followed&& other) noexcept;

    bool is_open() const { return fd_ >= 0; }
    base::Status open(const std::string& path, bool at_end);
    void close();

    int fd_ = -1;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    std::uint64_t offset_ = 0;
    std::string mark_;  // the bytes in front of offset_
    LineReader lines_;
  };

  struct Pass {
    std::int64_t deadline_ns;
    const base::Clock& clock;
    LineSink& sink;
    std::uint64_t bytes_left = kPassBytesMax;
  };

  // True at the end of the file.
  base::Result<bool> drain(Followed& file, Pass& pass);
  void restart_if_cut(Followed& file, std::uint64_t size) const;

  std::string path_;
  Followed current_;
  Followed renamed_;
  bool begun_ = false;  // whether a file that appears is new
  std::uint64_t behind_ = 0;
  std::vector<char> piece_;
};

}  // namespace qd::observe::nginx
