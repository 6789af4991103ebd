// Lays out the `index` of a block: symbols, series, the values of each label, postings, and the tables that find them.
//
// Source: tsdb/docs/format/index.md of Prometheus, version 2. Gathers series in memory and writes at the end. One
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "model/labels.h"
#include "store/prometheus/index_reader.h"

namespace qd::store::prometheus {

class IndexWriter {
 public:
  // REQUIRES: series come in label order, chunks of one in order of time.
  void add(const model::LabelSet& labels, std::span<const ChunkPlace> chunks);
  std::uint64_t series() const { return series_.size(); }

  // Appends all of it to an empty file; gives its size. kLimit when a section outgrows what its offsets can tell.
  base::Result<std::uint64_t> write(base::File& file);

 private:
  struct Series {
    std::uint32_t labels = 0;  // how many of label_numbers_, two each
    std::uint32_t chunk_bytes = 0;
  };
  struct Pair {
    std::uint32_t name = 0;  // symbols
    std::uint32_t value = 0;
    std::vector<std::uint32_t> refs;
  };
  class Out;

  std::uint32_t symbol(std::string_view text);
  void write_symbols(Out& out, std::vector<std::uint32_t>& ranks);
  base::Status write_series(Out& out, const std::vector<std::uint32_t>& ranks);

  std::deque<std::string> symbols_;  // never moves one
  std::unordered_map<std::string_view, std::uint32_t> symbol_numbers_;
  std::vector<Series> series_;
  std::vector<std::uint32_t> label_numbers_;
  std::string chunk_records_;
  std::unordered_map<std::uint64_t, std::uint32_t> pair_numbers_;  // by name << 32 | value
  std::vector<Pair> pairs_;
  std::vector<std::uint32_t> all_refs_;
};

}  // namespace qd::store::prometheus
