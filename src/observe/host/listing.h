// What comes and goes seldom: directories that are listed, and files that are looked for, only now and then.
//
// Both ask at once the first time and then every kRarelyPasses passes, a minute with the default interval; hardware
// that was plugged in shows after that long. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "observe/host/part.h"

namespace qd::observe::host {

inline constexpr std::uint64_t kRarelyPasses = 12;

// Names in a directory without "." and "..", sorted; an errno. More than kListedMax are left out.
inline constexpr std::size_t kListedMax = 16'384;
std::expected<std::vector<std::string>, int> list_directory(const std::string& directory);

class Listing {
 public:
  // Attributes below the entries may change without a change of the names, so that a listing counts as changed this
  // often whatever it says.
  static constexpr std::uint64_t kForgetPasses = 144;

  explicit Listing(std::string directory) : directory_(std::move(directory)) {}

  // Whether what was built from the names is to be built (again): they or the targets of their links have changed.
  // `now` lists without regard to when it was last.
  bool changed(const Pass& pass, bool now = false);

  const std::string& directory() const { return directory_; }
  // Of the last listing: an errno, or 0.
  int error() const { return error_; }
  // Sorted. Empty after an error.
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Entry {
    std::string name;
    std::string target;
    bool operator==(const Entry&) const = default;
  };
  void read();

  std::string directory_;
  std::uint64_t next_ = 0;    // the pass that lists again
  std::uint64_t forget_ = 0;  // the pass from which on it counts as changed
  int error_ = 0;
  Rows<Entry> found_;  // in the order of the directory, which is the same each time and so needs no new strings
  std::vector<Entry> known_;
  std::vector<std::string> names_;
};

// A file that this kernel may not have: once it was absent, it is looked for rarely.
class RareFile {
 public:
  RareFile(FileReader& reader, std::string path, Shows shows = Shows::kSomeRecords)
      : file_(reader, std::move(path), shows) {}
  // As KeptFile::read; ENOENT without a look while it is not time.
  std::expected<std::string_view, int> read(const Pass& pass);
  const std::string& path() const { return file_.path(); }

 private:
  KeptFile file_;
  std::uint64_t next_ = 0;
};

}  // namespace qd::observe::host
