#include "store/prometheus/index_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "store/prometheus/bytes.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;

constexpr std::size_t kIndexWriteBytes = 1 << 20;
constexpr std::size_t kListAlignment = 4;

}  // namespace

// A file that is written from front to back; remembers the first error.
class IndexWriter::Out {
 public:
  explicit Out(base::File& file) : file_(file) {}
  std::string& buffer() { return buffer_; }
  std::uint64_t position() const { return flushed_ + buffer_.size(); }
  void align(std::size_t to) {
    while (position() % to != 0) buffer_.push_back('\0');
  }
  // A section: its length in front, its checksum behind; gives where it stands.
  std::uint64_t section(std::string_view payload) {
    const std::uint64_t at = position();
    if (payload.size() > std::numeric_limits<std::uint32_t>::max() && status_) {
      status_ = base::fail(ErrorCode::kLimit, "a table of the index would be larger than 4 GiB: export shorter blocks");
    }
    write_be32(buffer_, static_cast<std::uint32_t>(payload.size()));
    buffer_ += payload;
    write_checksum(buffer_, payload);
    flush_if_large();
    return at;
  }
  void flush_if_large() {
    if (buffer_.size() >= kIndexWriteBytes) flush();
  }
  void flush() {
    if (status_) status_ = file_.append(base::as_bytes(buffer_));
    flushed_ += buffer_.size();
    buffer_.clear();
  }
  const base::Status& status() const { return status_; }

 private:
  base::File& file_;
  std::string buffer_;
  std::uint64_t flushed_ = 0;
  base::Status status_;
};

std::uint32_t IndexWriter::symbol(std::string_view text) {
  const auto found = symbol_numbers_.find(text);
  if (found != symbol_numbers_.end()) return found->second;
  const auto number = static_cast<std::uint32_t>(symbols_.size());
  symbol_numbers_.emplace(symbols_.emplace_back(text), number);
  return number;
}

void IndexWriter::add(const model::LabelSet& labels, std::span<const ChunkPlace> chunks) {
  Series series;
  for (const model::Label& label : labels) {
    label_numbers_.push_back(symbol(label.name));
    label_numbers_.push_back(symbol(label.value));
    ++series.labels;
  }
  const std::size_t before = chunk_records_.size();
  base::ByteWriter out(chunk_records_);
  out.varint(chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const ChunkPlace& chunk = chunks[i];
    const auto span = [](model::TimestampMs from, model::TimestampMs to) {
      return static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
    };
    if (i == 0) {
      out.signed_varint(chunk.min_ms);
    } else {
      out.varint(span(chunks[i - 1].max_ms, chunk.min_ms));
    }
    out.varint(span(chunk.min_ms, chunk.max_ms));
    if (i == 0) {
      out.varint(chunk.ref);
    } else {
      out.signed_varint(static_cast<std::int64_t>(chunk.ref - chunks[i - 1].ref));
    }
  }
  series.chunk_bytes = static_cast<std::uint32_t>(chunk_records_.size() - before);
  series_.push_back(series);
}

// ranks: the place of each symbol among the sorted ones, by which series call it.
void IndexWriter::write_symbols(Out& out, std::vector<std::uint32_t>& ranks) {
  std::vector<std::uint32_t> order(symbols_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [this](std::uint32_t i) -> const std::string& { return symbols_[i]; });
  ranks.resize(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) ranks[order[i]] = i;
  std::string payload;
  write_be32(payload, static_cast<std::uint32_t>(order.size()));
  for (const std::uint32_t number : order) base::ByteWriter(payload).text(symbols_[number]);
  out.section(payload);
}

base::Status IndexWriter::write_series(Out& out, const std::vector<std::uint32_t>& ranks) {
  std::size_t label_at = 0;
  std::size_t chunk_at = 0;
  std::string payload;
  for (const Series& series : series_) {
    out.align(kSeriesAlignment);
    const std::uint64_t ref = out.position() / kSeriesAlignment;
    if (ref > std::numeric_limits<std::uint32_t>::max())
      return base::fail(ErrorCode::kLimit, "the index would be larger than 64 GiB: export shorter blocks");
    payload.clear();
    base::ByteWriter record(payload);
    record.varint(series.labels);
    for (std::uint32_t i = 0; i < series.labels; ++i, label_at += 2) {
      const std::uint32_t name = label_numbers_[label_at];
      const std::uint32_t value = label_numbers_[label_at + 1];
      record.varint(ranks[name]);
      record.varint(ranks[value]);
      const auto [found, is_new] =
          pair_numbers_.try_emplace(std::uint64_t{name} << 32 | value, static_cast<std::uint32_t>(pairs_.size()));
      if (is_new) pairs_.push_back({.name = name, .value = value, .refs = {}});
      pairs_[found->second].refs.push_back(static_cast<std::uint32_t>(ref));
    }
    all_refs_.push_back(static_cast<std::uint32_t>(ref));
    payload.append(chunk_records_, chunk_at, series.chunk_bytes);
    chunk_at += series.chunk_bytes;
    base::ByteWriter(out.buffer()).varint(payload.size());
    out.buffer() += payload;
    write_checksum(out.buffer(), payload);
    out.flush_if_large();
  }
  return {};
}

base::Result<std::uint64_t> IndexWriter::write(base::File& file) {
  Out out(file);
  write_be32(out.buffer(), kIndexMagic);
  out.buffer().push_back(static_cast<char>(kIndexVersion));

  const std::uint64_t symbols_at = out.position();
  std::vector<std::uint32_t> ranks;
  write_symbols(out, ranks);
  out.align(kSeriesAlignment);
  const std::uint64_t series_at = out.position();
  QD_TRY(write_series(out, ranks));

  std::ranges::sort(pairs_, {}, [&](const Pair& pair) { return std::pair(ranks[pair.name], ranks[pair.value]); });

  // The values of each name. Nothing reads them since version 2, but writers have them.
  out.align(kListAlignment);
  const std::uint64_t values_at = out.position();
  std::string values_table;
  std::uint32_t names = 0;
  for (std::size_t i = 0; i < pairs_.size();) {
    std::size_t end = i;
    while (end < pairs_.size() && pairs_[end].name == pairs_[i].name) ++end;
    std::string payload;
    write_be32(payload, 1);
    write_be32(payload, static_cast<std::uint32_t>(end - i));
    for (std::size_t k = i; k < end; ++k) write_be32(payload, ranks[pairs_[k].value]);
    out.align(kListAlignment);
    base::ByteWriter entry(values_table);
    entry.varint(1);
    entry.text(symbols_[pairs_[i].name]);
    entry.varint(out.section(payload));
    ++names;
    i = end;
  }

  out.align(kListAlignment);
  const std::uint64_t postings_at = out.position();
  std::string pairs_table;
  const auto write_postings = [&](std::string_view name, std::string_view value,
                                  const std::vector<std::uint32_t>& refs) {
    std::string payload;
    payload.reserve((refs.size() + 1) * sizeof(std::uint32_t));
    write_be32(payload, static_cast<std::uint32_t>(refs.size()));
    for (const std::uint32_t ref : refs) write_be32(payload, ref);
    out.align(kListAlignment);
    base::ByteWriter entry(pairs_table);
    entry.varint(2);
    entry.text(name);
    entry.text(value);
    entry.varint(out.section(payload));
  };
  write_postings("", "", all_refs_);
  for (const Pair& pair : pairs_) write_postings(symbols_[pair.name], symbols_[pair.value], pair.refs);

  const auto write_table = [&](std::uint32_t entries, const std::string& table) {
    std::string payload;
    write_be32(payload, entries);
    payload += table;
    return out.section(payload);
  };
  const std::uint64_t values_table_at = write_table(names, values_table);
  const std::uint64_t pairs_table_at = write_table(static_cast<std::uint32_t>(pairs_.size() + 1), pairs_table);

  std::string contents;
  for (const std::uint64_t offset : {symbols_at, series_at, values_at, values_table_at, postings_at, pairs_table_at}) {
    write_be64(contents, offset);
  }
  out.buffer() += contents;
  write_checksum(out.buffer(), contents);
  out.flush();
  QD_TRY(out.status());
  return out.position();
}

}  // namespace qd::store::prometheus
