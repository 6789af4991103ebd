// A file of fixed size that is written through memory: what is stored there survives the death of the process at any
// instruction, without a call to the system.
//
// The space is taken on the device at once, so that a full disk is an error here and not a signal later. What one
// thread stores is seen by readers of the file in that order; a loss of power may keep any part of it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "base/result.h"

namespace qd::base {

class WritableMapping {
 public:
  // A new file of zeros in the place of whatever was at `path`.
  static Result<std::unique_ptr<WritableMapping>> create(const std::filesystem::path& path, std::size_t size);
  ~WritableMapping();
  WritableMapping(const WritableMapping&) = delete;
  WritableMapping& operator=(const WritableMapping&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit WritableMapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  const std::span<std::byte> bytes_;
};

}  // namespace qd::base
