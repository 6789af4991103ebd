// What a block of Prometheus says about itself: its meta.json, and the ULID that names it.
//
// Sources: tsdb/docs/format/README.md of Prometheus, github.com/ulid/spec, and for the `thanos` section
// thanos.io/tip/thanos/storage.md. Values, any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "model/sample.h"

namespace qd::store::prometheus {

inline constexpr std::string_view kMetaName = "meta.json";

struct BlockMeta {
  std::string ulid;
  model::TimestampMs min_ms = 0;
  model::TimestampMs end_ms = 0;  // the first that is not in it: maxTime
  std::uint64_t samples = 0;
  std::uint64_t series = 0;
  std::uint64_t chunks = 0;
  std::uint64_t tombstones = 0;
  std::uint32_t level = 1;
  std::vector<std::string> sources;  // blocks of level 1 that it was made of
  std::vector<std::string> parents;  // blocks that it stands for
  bool out_of_order = false;         // holds late samples: the head may hold what is older than its end
  bool deletable = false;            // nothing is left in it

  // The thanos section is written when there is one of them.
  struct File {
    std::string path;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, std::string> external_labels;
  std::vector<File> files;

  std::string print() const;
  // kCorrupt, naming the file; kInvalid for a version that is not known.
  static base::Result<BlockMeta> parse(std::string_view text, const std::filesystem::path& path);
  static base::Result<BlockMeta> read(base::Files& files, const std::filesystem::path& dir);
};

// 26 characters: when, and chance. REQUIRES: time_ms >= 0.
std::string make_ulid(model::TimestampMs time_ms, std::mt19937_64& random);
bool is_ulid(std::string_view text);

}  // namespace qd::store::prometheus
