// Files of /proc and /sys that are read again and again.
//
// The kernel writes such a file anew whenever it is read from its start, so a descriptor is opened once and kept. Files
// on other file systems (a recorded tree) are opened on each read, since they may have been replaced. Not thread-safe:
// one FileReader and its files belong to one collector.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe::host {

// The buffer that all files of a collector are read into, and the bound on the descriptors that they keep.
class FileReader {
 public:
  // More than these are opened on each read: machines have thousands of network devices and CPUs, and the descriptors
  // are wanted for connections.
  static constexpr std::size_t kKeptDescriptorsMax = 512;
  // /proc/1/mountinfo of a machine with tens of thousands of mounts is the largest that is known.
  static constexpr std::size_t kFileBytesMax = 32 << 20;

  FileReader() : buffer_(64 << 10) {}
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

 private:
  friend class KeptFile;
  std::vector<char> buffer_;
  std::size_t kept_ = 0;
};

class KeptFile {
 public:
  // `reader` outlives the file. Nothing is opened before the first read.
  KeptFile(FileReader& reader, std::string path) : reader_(&reader), path_(std::move(path)) {}
  ~KeptFile() { close(); }
  KeptFile(KeptFile&& other) noexcept;
  KeptFile& operator=(KeptFile&& other) noexcept;

  // The whole content, valid until any file of the same reader is read; or an errno (EFBIG past kFileBytesMax).
  std::expected<std::string_view, int> read();

  const std::string& path() const { return path_; }

 private:
  int open();
  void close();
  std::expected<std::string_view, int> read_open();

  FileReader* reader_;
  std::string path_;
  int fd_ = -1;
  bool keep_ = false;
};

}  // namespace qd::observe::host
