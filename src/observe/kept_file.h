// Files of /proc, /sys and cgroupfs that are read again and again.
//
// The kernel writes such a file anew whenever it is read from its start, so a descriptor is opened once and kept. Files
// on other file systems (a recorded tree) are opened on each read, since they may have been replaced. Not thread-safe:
// one FileReader and its files belong to one collector.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe {

// How much of a file of /proc one read shows: the kernel's seq_file ends a read where the next record does not fit into
// what is left of a page. What is known to be all saves the read that would say so.
enum class Shows {
  kSomeRecords,   // nothing is known
  kShortRecords,  // no record is longer than half a page
  kEverything,    // the file is one record, or a number of sysctl
};

// The buffer that all files of a collector are read into, and the bound on the descriptors that they keep.
class FileReader {
 public:
  // More than these are opened on each read: machines have thousands of network devices and CPUs, and the descriptors
  // are wanted for connections.
  static constexpr std::size_t kKeptDescriptorsMax = 512;
  // /proc/1/mountinfo of a machine with tens of thousands of mounts is the largest that is known.
  static constexpr std::size_t kFileBytesMax = 32 << 20;

  explicit FileReader(std::size_t kept_descriptors_max = kKeptDescriptorsMax)
      : buffer_(64 << 10), kept_max_(kept_descriptors_max) {}
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  // As KeptFile::read, of a file that is closed again: for those that are read seldom, and for those whose descriptor
  // would hold what they tell of (the network of a process that has ended).
  // As for a file of /proc, whatever it is.
  std::expected<std::string_view, int> read_once(const char* path, Shows shows = Shows::kSomeRecords);

 private:
  friend class KeptFile;
  // A content shorter than `short_of` is known to be all.
  std::expected<std::string_view, int> read_open(int fd, std::size_t short_of);

  std::vector<char> buffer_;
  std::size_t kept_max_;
  std::size_t kept_ = 0;
};

class KeptFile {
 public:
  // `reader` outlives the file. Nothing is opened before the first read. `shows` is of a file of /proc.
  KeptFile(FileReader& reader, std::string path, Shows shows = Shows::kSomeRecords)
      : reader_(&reader), path_(std::move(path)), shows_(shows) {}
  ~KeptFile() { close(); }
  KeptFile(KeptFile&& other) noexcept;
  KeptFile& operator=(KeptFile&& other) noexcept;

  // The whole content, valid until any file of the same reader is read; or an errno (EFBIG past kFileBytesMax).
  std::expected<std::string_view, int> read();

  const std::string& path() const { return path_; }

 private:
  int open();
  void close();

  FileReader* reader_;
  std::string path_;
  int fd_ = -1;
  bool keep_ = false;
  Shows shows_;
  std::size_t short_of_ = 0;
};

}  // namespace qd::observe
