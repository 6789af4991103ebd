// Blocks go out as series come in; what the index needs is kept: each symbol and each (name, value) pair once, numbered
// as they come, and for each series the numbers of its pairs and the part of its record that is about blocks. At the
// end symbols and pairs are sorted and renumbered, and the sections are written one after the other.
#include "store/metrics/segment_writer.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <numeric>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_histogram.h"
#include "store/metrics/segment_format.h"

namespace qd::store::metrics {
namespace {

constexpr std::size_t kWriteBytes = 1 << 20;
// Series of one target share their times, and so one block of them; it is written again once so many others were.
constexpr std::size_t kTimeBlocksRemembered = 4096;
constexpr std::size_t kTimeBytesRemembered = 16 << 20;

struct PairState {
  std::uint32_t name = 0;  // symbol
  std::uint32_t value = 0;
  std::uint32_t count = 0;  // of its series
};

struct SeriesState {
  model::TimestampMs min_ms = 0;
  model::TimestampMs max_ms = 0;
  std::uint32_t labels = 0;        // how many of `label_pairs` are its
  std::uint32_t blocks_bytes = 0;  // how many of `block_records` are its
};

// Strings numbered in the order in which they come.
class Symbols {
 public:
  std::uint32_t number(std::string_view text) {
    const auto found = numbers_.find(text);
    if (found != numbers_.end()) return found->second;
    const auto next = static_cast<std::uint32_t>(texts_.size());
    numbers_.emplace(texts_.emplace_back(text), next);
    return next;
  }
  std::size_t size() const { return texts_.size(); }
  const std::string& operator[](std::uint32_t number) const { return texts_[number]; }

 private:
  std::deque<std::string> texts_;  // never moves one
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
};

// Where what stands at `begin`, numbers or histograms, gives way to the other.
std::size_t end_of_run(const SeriesContent& content, std::size_t begin) {
  if (content.histograms.empty()) return content.times.size();
  const bool numbers = content.histograms[begin] == nullptr;
  std::size_t end = begin + 1;
  while (end < content.times.size() && (content.histograms[end] == nullptr) == numbers) ++end;
  return end;
}

std::vector<std::uint32_t> numbers_up_to(std::size_t count) {
  std::vector<std::uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0U);
  return numbers;
}

// ranks[order[i]] = i
std::vector<std::uint32_t> ranks_of(const std::vector<std::uint32_t>& order) {
  std::vector<std::uint32_t> ranks(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) ranks[order[i]] = i;
  return ranks;
}

}  // namespace

struct SegmentWriter::State {
  State(base::Files& its_files, std::filesystem::path its_path, const SegmentOptions& its_options)
      : files(its_files), path(std::move(its_path)), temporary(path), options(its_options) {
    temporary += ".tmp";
  }

  std::uint64_t position() const { return flushed + buffer.size(); }
  base::Status flush();
  void write_block_checksum(std::size_t begin);
  std::uint64_t write_times(std::span<const model::TimestampMs> times, std::size_t& bytes);
  void write_blocks(const SeriesContent& content);
  void write_exemplars(std::span<const model::Exemplar> exemplars);
  void note_labels(const model::LabelSet& labels);

  base::Status write_section(Section section, std::string_view bytes);
  base::Status write_records(const std::vector<std::uint32_t>& pair_ranks);
  base::Status write_symbols(const std::vector<std::uint32_t>& symbol_order);
  base::Status write_pairs(const std::vector<std::uint32_t>& pair_order, const std::vector<std::uint32_t>& pair_ranks,
                           const std::vector<std::uint32_t>& symbol_ranks);
  base::Status write_index();
  base::Result<std::uint32_t> offset_in(Section section, std::uint64_t offset) const;

  base::Files& files;
  std::filesystem::path path;
  std::filesystem::path temporary;
  SegmentOptions options;
  std::unique_ptr<base::File> file;
  bool finished = false;

  std::string buffer;  // not yet in the file
  std::uint64_t flushed = 0;
  BlockEncoder encoder;
  HistogramEncoder histogram_encoder;
  std::string time_block;
  std::unordered_map<std::string, std::uint64_t> time_blocks;  // where each stands
  std::size_t time_blocks_bytes = 0;

  model::LabelSet last_labels;
  Symbols symbols;
  std::vector<PairState> pairs;
  std::unordered_map<std::uint64_t, std::uint32_t> pair_numbers;  // by name symbol << 32 | value symbol
  std::vector<SeriesState> series;
  std::vector<std::uint32_t> label_pairs;  // of all series, one after the other
  std::string block_records;
  SegmentFooter footer;
};

base::Status SegmentWriter::State::flush() {
  QD_TRY(file->append(base::as_bytes(buffer)));
  flushed += buffer.size();
  buffer.clear();
  return {};
}

// Of what stands in the buffer from `begin` on.
void SegmentWriter::State::write_block_checksum(std::size_t begin) {
  const std::uint32_t checksum = base::crc32c(base::as_bytes(std::string_view(buffer).substr(begin)));
  base::ByteWriter(buffer).fixed(checksum);
}

std::uint64_t SegmentWriter::State::write_times(std::span<const model::TimestampMs> times, std::size_t& bytes) {
  time_block.clear();
  encoder.encode_times(times, time_block);
  bytes = time_block.size();
  const auto known = time_blocks.find(time_block);
  if (known != time_blocks.end()) return known->second;
  if (time_blocks.size() >= kTimeBlocksRemembered || time_blocks_bytes >= kTimeBytesRemembered) {
    time_blocks.clear();
    time_blocks_bytes = 0;
  }
  const std::uint64_t offset = position();
  const std::size_t begin = buffer.size();
  buffer.append(time_block);
  write_block_checksum(begin);
  time_blocks_bytes += time_block.size();
  time_blocks.emplace(time_block, offset);
  return offset;
}

// All blocks of times, then all blocks of values, and the end of the series' record, which says where they are.
void SegmentWriter::State::write_blocks(const SeriesContent& content) {
  struct Block {
    std::size_t begin;
    std::size_t samples;
    bool histograms;
    std::uint64_t times_offset;
    std::size_t times_bytes;
  };
  const std::span<const model::TimestampMs> times = content.times;
  std::vector<Block> blocks;
  const auto add_block = [&](std::size_t begin, std::size_t samples, bool histograms) {
    Block& block = blocks.emplace_back(Block{.begin = begin, .samples = samples, .histograms = histograms});
    block.times_offset = write_times(times.subspan(begin, samples), block.times_bytes);
  };
  for (std::size_t begin = 0; begin < times.size();) {
    const std::size_t end = end_of_run(content, begin);
    if (content.histograms.empty() || content.histograms[begin] == nullptr) {
      // Of even size, so that there is no short one at the end.
      const std::size_t count = (end - begin + kBlockSamplesMax - 1) / kBlockSamplesMax;
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t samples = (end - begin + count - i - 1) / (count - i);
        add_block(begin, samples, false);
        begin += samples;
      }
      continue;
    }
    while (begin < end) {
      const std::size_t samples = HistogramEncoder::fitting(content.histograms.subspan(begin, end - begin));
      add_block(begin, samples, true);
      begin += samples;
    }
  }

  const std::size_t record_begin = block_records.size();
  base::ByteWriter record(block_records);
  record.varint(blocks.size());
  record.varint(position());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    const std::uint64_t offset = position();
    const std::size_t buffer_begin = buffer.size();
    if (block.histograms) {
      histogram_encoder.encode(content.histograms.subspan(block.begin, block.samples), options.compress_cold, buffer);
    } else {
      encoder.encode_values(content.values.subspan(block.begin, block.samples), options.compress_cold, buffer);
    }
    const std::size_t values_bytes = buffer.size() - buffer_begin;
    write_block_checksum(buffer_begin);

    const auto its = times.subspan(block.begin, block.samples);
    record.varint(block.samples);
    if (i > 0)
      record.varint(static_cast<std::uint64_t>(its.front()) - static_cast<std::uint64_t>(times[block.begin - 1]));
    if (i + 1 < blocks.size())
      record.varint(static_cast<std::uint64_t>(its.back()) - static_cast<std::uint64_t>(its.front()));
    record.varint(offset - block.times_offset);
    record.varint(block.times_bytes);
    record.varint(values_bytes);
  }
  if (!content.exemplars.empty()) write_exemplars(content.exemplars);
  series.back().blocks_bytes = static_cast<std::uint32_t>(block_records.size() - record_begin);
}

// A block of their own, and at the very end of the record varint how many, varint offset, varint bytes.
void SegmentWriter::State::write_exemplars(std::span<const model::Exemplar> exemplars) {
  SegmentInfo& info = footer.info;
  info.exemplars_min_ms =
      info.exemplars == 0 ? exemplars.front().time_ms : std::min(info.exemplars_min_ms, exemplars.front().time_ms);
  info.exemplars_max_ms =
      info.exemplars == 0 ? exemplars.back().time_ms : std::max(info.exemplars_max_ms, exemplars.back().time_ms);
  info.exemplars += exemplars.size();
  const std::uint64_t offset = position();
  const std::size_t begin = buffer.size();
  base::ByteWriter writer(buffer);
  std::uint64_t before = 0;
  for (const model::Exemplar& exemplar : exemplars) {
    const auto time = static_cast<std::uint64_t>(exemplar.time_ms);
    writer.signed_varint(static_cast<std::int64_t>(time - before));
    writer.fixed<std::uint8_t>(exemplar.has_time ? 1 : 0);
    writer.fixed(exemplar.value);
    writer.text(exemplar.labels.bytes());
    before = time;
  }
  const std::size_t bytes = buffer.size() - begin;
  write_block_checksum(begin);
  base::ByteWriter record(block_records);
  record.varint(exemplars.size());
  record.varint(offset);
  record.varint(bytes);
}

void SegmentWriter::State::note_labels(const model::LabelSet& labels) {
  std::uint32_t count = 0;
  for (const model::Label& label : labels) {
    const std::uint32_t name = symbols.number(label.name);
    const std::uint32_t value = symbols.number(label.value);
    const auto [at, is_new] =
        pair_numbers.try_emplace(std::uint64_t{name} << 32 | value, static_cast<std::uint32_t>(pairs.size()));
    if (is_new) pairs.push_back({.name = name, .value = value});
    ++pairs[at->second].count;
    label_pairs.push_back(at->second);
    ++count;
  }
  series.back().labels = count;
}

base::Status SegmentWriter::State::write_section(Section section, std::string_view bytes) {
  QD_TRY(flush());
  footer[section] = {.offset = flushed, .bytes = bytes.size(), .checksum = base::crc32c(base::as_bytes(bytes))};
  QD_TRY(file->append(base::as_bytes(bytes)));
  flushed += bytes.size();
  return {};
}

base::Result<std::uint32_t> SegmentWriter::State::offset_in(Section section, std::uint64_t offset) const {
  if (offset <= UINT32_MAX) return static_cast<std::uint32_t>(offset);
  return base::fail(base::ErrorCode::kLimit,
                    fmt::format("writing segment {}: its {} pass 4 GiB, which the format cannot address; write fewer "
                                "series into one segment",
                                path.native(), to_string(section)));
}

base::Status SegmentWriter::State::write_records(const std::vector<std::uint32_t>& pair_ranks) {
  std::string records;
  std::string offsets;
  base::ByteWriter record(records);
  base::ByteWriter offset(offsets);
  std::size_t pair_at = 0;
  std::size_t blocks_at = 0;
  for (const SeriesState& its : series) {
    QD_ASSIGN(const std::uint32_t begin, offset_in(Section::kSeries, records.size()));
    offset.fixed(begin);
    record.varint(static_cast<std::uint64_t>(its.min_ms) - static_cast<std::uint64_t>(footer.info.min_ms));
    record.varint(static_cast<std::uint64_t>(footer.info.max_ms) - static_cast<std::uint64_t>(its.max_ms));
    record.varint(its.labels);
    std::uint32_t before = 0;
    for (std::uint32_t i = 0; i < its.labels; ++i) {
      const std::uint32_t rank = pair_ranks[label_pairs[pair_at++]];
      record.varint(rank - before);  // labels come in order of names, and so do pairs
      before = rank;
    }
    records.append(block_records, blocks_at, its.blocks_bytes);
    blocks_at += its.blocks_bytes;
  }
  QD_ASSIGN(const std::uint32_t end, offset_in(Section::kSeries, records.size()));
  offset.fixed(end);
  QD_TRY(write_section(Section::kSeries, records));
  return write_section(Section::kSeriesOffsets, offsets);
}

base::Status SegmentWriter::State::write_symbols(const std::vector<std::uint32_t>& symbol_order) {
  std::string texts;
  std::string offsets;
  base::ByteWriter offset(offsets);
  for (const std::uint32_t number : symbol_order) {
    QD_ASSIGN(const std::uint32_t begin, offset_in(Section::kSymbols, texts.size()));
    offset.fixed(begin);
    texts.append(symbols[number]);
  }
  QD_ASSIGN(const std::uint32_t end, offset_in(Section::kSymbols, texts.size()));
  offset.fixed(end);
  footer.symbols = static_cast<std::uint32_t>(symbol_order.size());
  QD_TRY(write_section(Section::kSymbols, texts));
  return write_section(Section::kSymbolOffsets, offsets);
}

base::Status SegmentWriter::State::write_pairs(const std::vector<std::uint32_t>& pair_order,
                                               const std::vector<std::uint32_t>& pair_ranks,
                                               const std::vector<std::uint32_t>& symbol_ranks) {
  // The series of each pair, one pair after the other in their order.
  std::vector<std::size_t> ends(pair_order.size());
  std::size_t total = 0;
  for (std::size_t rank = 0; rank < pair_order.size(); ++rank) {
    ends[rank] = total;
    total += pairs[pair_order[rank]].count;
  }
  std::vector<std::uint32_t> members(total);
  std::size_t pair_at = 0;
  for (std::uint32_t id = 0; id < series.size(); ++id) {
    for (std::uint32_t i = 0; i < series[id].labels; ++i) members[ends[pair_ranks[label_pairs[pair_at++]]]++] = id;
  }

  std::string names;
  std::string entries;
  std::string postings;
  base::ByteWriter name(names);
  base::ByteWriter entry(entries);
  base::ByteWriter list(postings);
  std::uint32_t last_name = UINT32_MAX;
  for (std::uint32_t rank = 0; rank < pair_order.size(); ++rank) {
    const PairState& its = pairs[pair_order[rank]];
    if (its.name != last_name) {
      name.fixed(symbol_ranks[its.name]);
      name.fixed(rank);
      last_name = its.name;
      ++footer.names;
    }
    const auto ids = std::span(members).subspan(ends[rank] - its.count, its.count);
    const bool run = ids.back() - ids.front() == its.count - 1;
    entry.fixed(symbol_ranks[its.name]);
    entry.fixed(symbol_ranks[its.value]);
    entry.fixed(its.count | (run ? kRunFlag : 0));
    if (run) {
      entry.fixed(ids.front());
      continue;
    }
    QD_ASSIGN(const std::uint32_t where, offset_in(Section::kPostings, postings.size()));
    entry.fixed(where);
    std::uint32_t before = 0;
    for (const std::uint32_t id : ids) {
      list.varint(id - before);
      before = id;
    }
  }
  footer.pairs = static_cast<std::uint32_t>(pair_order.size());
  QD_TRY(write_section(Section::kNames, names));
  QD_TRY(write_section(Section::kPairs, entries));
  return write_section(Section::kPostings, postings);
}

base::Status SegmentWriter::State::write_index() {
  std::vector<std::uint32_t> symbol_order = numbers_up_to(symbols.size());
  std::sort(symbol_order.begin(), symbol_order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return symbols[a] < symbols[b]; });
  const std::vector<std::uint32_t> symbol_ranks = ranks_of(symbol_order);
  std::vector<std::uint32_t> pair_order = numbers_up_to(pairs.size());
  std::sort(pair_order.begin(), pair_order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(symbol_ranks[pairs[a].name], symbol_ranks[pairs[a].value]) <
           std::pair(symbol_ranks[pairs[b].name], symbol_ranks[pairs[b].value]);
  });
  const std::vector<std::uint32_t> pair_ranks = ranks_of(pair_order);

  QD_TRY(write_records(pair_ranks));
  QD_TRY(write_symbols(symbol_order));
  return write_pairs(pair_order, pair_ranks, symbol_ranks);
}

SegmentWriter::SegmentWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}

SegmentWriter::~SegmentWriter() {
  if (state_->finished) return;
  state_->file.reset();
  // What cannot be removed now is a .tmp that the store deletes when it opens.
  static_cast<void>(state_->files.remove(state_->temporary));
}

base::Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(base::Files& files,
                                                                   const std::filesystem::path& path,
                                                                   const SegmentOptions& options) {
  auto state = std::make_unique<State>(files, path, options);
  QD_ASSIGN(state->file, files.create(state->temporary));
  state->buffer = encode_segment_header();
  state->footer.info.level = options.level;
  return std::unique_ptr<SegmentWriter>(new SegmentWriter(std::move(state)));
}

base::Status SegmentWriter::add(const model::LabelSet& labels, const SeriesContent& content) {
  State& s = *state_;
  const std::span<const model::TimestampMs> times = content.times;
  const auto refuse = [&](base::ErrorCode code, std::string_view why) {
    return base::fail(code, fmt::format("writing segment {}: series {} {}", s.path.native(), labels.to_string(), why));
  };
  if (times.empty() || times.size() != content.values.size() ||
      (!content.histograms.empty() && content.histograms.size() != times.size())) {
    return refuse(base::ErrorCode::kInvalid, "has no samples, or not as many values as times");
  }
  if (!s.series.empty() && !(s.last_labels < labels)) {
    return refuse(base::ErrorCode::kInvalid, "does not come after the one before");
  }
  if (std::adjacent_find(times.begin(), times.end(), std::greater_equal<>()) != times.end()) {
    return refuse(base::ErrorCode::kInvalid, "has times that do not rise");
  }
  if (!std::ranges::is_sorted(content.exemplars, {}, &model::Exemplar::time_ms)) {
    return refuse(base::ErrorCode::kInvalid, "has exemplars whose times fall");
  }
  if (s.series.size() >= kSeriesLimit) {
    return refuse(base::ErrorCode::kLimit, fmt::format("is one more than the {} that fit", kSeriesLimit));
  }

  SegmentInfo& info = s.footer.info;
  info.min_ms = s.series.empty() ? times.front() : std::min(info.min_ms, times.front());
  info.max_ms = s.series.empty() ? times.back() : std::max(info.max_ms, times.back());
  info.samples += times.size();
  ++info.series;
  s.last_labels = labels;
  s.series.push_back({.min_ms = times.front(), .max_ms = times.back()});
  s.note_labels(labels);
  s.write_blocks(content);
  return s.buffer.size() >= kWriteBytes ? s.flush() : base::Status();
}

base::Result<SegmentInfo> SegmentWriter::finish() {
  State& s = *state_;
  QD_ASSERT(!s.finished);
  if (s.series.empty()) {
    return base::fail(base::ErrorCode::kInvalid, fmt::format("writing segment {}: it has no series", s.path.native()));
  }
  QD_TRY(s.write_index());
  s.buffer = encode_segment_footer(s.footer);
  QD_TRY(s.flush());
  QD_TRY(s.file->sync());
  s.file.reset();
  QD_TRY(s.files.rename(s.temporary, s.path));
  s.finished = true;
  QD_TRY(s.files.sync_directory(s.path.parent_path()));
  s.footer.info.bytes = s.flushed;
  return s.footer.info;
}

}  // namespace qd::store::metrics
