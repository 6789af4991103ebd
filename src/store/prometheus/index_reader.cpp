#include "store/prometheus/index_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "store/prometheus/bytes.h"

namespace qd::store::prometheus {
namespace {

using base::ByteReader;
using base::ErrorCode;
using metrics::Postings;
using metrics::PostingsView;

constexpr std::size_t kContentsBytes = 6 * 8;
constexpr std::size_t kLengthBytes = 4;
// What one takes at least.
constexpr std::size_t kSymbolBytesMin = 1;
constexpr std::size_t kPairBytesMin = 4;
constexpr std::size_t kChunkPlaceBytesMin = 3;

std::uint64_t wrapping_add(model::TimestampMs time_ms, std::uint64_t span) {
  return static_cast<std::uint64_t>(time_ms) + span;
}

}  // namespace

base::Result<std::unique_ptr<const IndexReader>> IndexReader::open(std::span<const std::byte> bytes,
                                                                   const std::filesystem::path& path,
                                                                   Checksums checksums) {
  std::unique_ptr<IndexReader> reader(new IndexReader(bytes, path, checksums));
  QD_TRY(reader->read_contents());
  return std::unique_ptr<const IndexReader>(std::move(reader));
}

base::Status IndexReader::read_contents() {
  if (bytes_.size() < kIndexHeaderBytes + kContentsBytes + kChecksumBytes)
    return damage(path_, 0, fmt::format("the file is of {} bytes, less than any index", bytes_.size()));
  if (be32_at(bytes_, 0) != kIndexMagic) return damage(path_, 0, "the file is no index of Prometheus");
  if (const auto version = std::to_integer<std::uint8_t>(bytes_[4]); version != kIndexVersion) {
    return base::fail(ErrorCode::kInvalid, fmt::format("{} has version {} of the index, and this Quarterdeck reads {}",
                                                       path_.native(), version, kIndexVersion));
  }
  const std::uint64_t contents_at = bytes_.size() - kContentsBytes - kChecksumBytes;
  const auto contents = bytes_.subspan(contents_at, kContentsBytes);
  if (checksums_ == Checksums::kVerify && base::crc32c(contents) != be32_at(bytes_, contents_at + kContentsBytes))
    return damage(path_, contents_at, "the table of contents does not match its checksum");
  ByteReader in(contents);
  const std::uint64_t symbols = read_be64(in);
  series_begin_ = read_be64(in);
  const std::uint64_t label_indices = read_be64(in);
  static_cast<void>(read_be64(in));
  const std::uint64_t postings = read_be64(in);
  pairs_offset_ = read_be64(in);
  // What follows the series, whatever a writer leaves out.
  series_end_ = contents_at;
  for (const std::uint64_t next : {label_indices, postings, pairs_offset_}) {
    if (next > series_begin_) series_end_ = std::min(series_end_, next);
  }
  if (series_begin_ > series_end_) return damage(path_, contents_at, "the series begin behind their end");
  QD_TRY(read_symbols(symbols));
  return read_pairs(pairs_offset_);
}

base::Result<std::span<const std::byte>> IndexReader::section(std::uint64_t offset, std::string_view what) const {
  const std::uint64_t end = bytes_.size() - kContentsBytes - kChecksumBytes;
  if (offset < kIndexHeaderBytes || offset > end || end - offset < kLengthBytes + kChecksumBytes)
    return damage(path_, offset, fmt::format("{} would stand outside of the file", what));
  const std::uint64_t length = be32_at(bytes_, offset);
  if (length > end - offset - kLengthBytes - kChecksumBytes)
    return damage(path_, offset, fmt::format("{} would reach beyond the file", what));
  const auto payload = bytes_.subspan(offset + kLengthBytes, length);
  if (checksums_ == Checksums::kVerify && base::crc32c(payload) != be32_at(bytes_, offset + kLengthBytes + length)) {
    return damage(path_, offset, fmt::format("{} does not match its checksum", what));
  }
  return payload;
}

base::Status IndexReader::read_symbols(std::uint64_t offset) {
  if (offset == 0) return {};
  QD_ASSIGN(symbols_, section(offset, "the table of symbols"));
  ByteReader in(symbols_);
  symbol_count_ = read_be32(in);
  if (symbol_count_ > in.remaining() / kSymbolBytesMin)
    return damage(path_, offset, fmt::format("{} symbols are told, and there is no room for them", symbol_count_));
  for (std::uint32_t i = 0; i < symbol_count_; ++i) {
    if (i % kSymbolsApart == 0) symbol_places_.push_back(static_cast<std::uint32_t>(in.position()));
    static_cast<void>(in.text());
    if (!in.ok()) return damage(path_, offset, fmt::format("the table of symbols ends in symbol {}", i));
  }
  return {};
}

base::Status IndexReader::read_pairs(std::uint64_t offset) {
  if (offset == 0) return {};
  QD_ASSIGN(pairs_, section(offset, "the table of label pairs"));
  ByteReader in(pairs_);
  const std::uint32_t count = read_be32(in);
  if (count > in.remaining() / kPairBytesMin)
    return damage(path_, offset, fmt::format("{} label pairs are told, and there is no room for them", count));
  Name* name = nullptr;
  std::string_view name_before;
  std::string_view value_before;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto place = static_cast<std::uint32_t>(in.position());
    const bool two = in.varint() == 2;
    const std::string_view label = in.text();
    const std::string_view value = in.text();
    const std::uint64_t postings = in.varint();
    if (!in.ok() || !two) return damage(path_, offset + kLengthBytes + place, "a label pair does not read");
    if (i > 0 && std::pair(name_before, value_before) >= std::pair(label, value))
      return damage(path_, offset + kLengthBytes + place, "a label pair does not come after the one before");
    if (label.empty() && value.empty()) {
      all_postings_ = postings;
    } else {
      if (name == nullptr || label != name_before) name = &names_[label];
      if (name->pairs % kPairsApart == 0) name->places.push_back(place);
      ++name->pairs;
    }
    name_before = label;
    value_before = value;
  }
  return {};
}

base::Result<std::string_view> IndexReader::symbol(std::uint64_t number) const {
  if (number >= symbol_count_)
    return damage(path_, series_begin_, fmt::format("symbol {} is told, and there are {}", number, symbol_count_));
  ByteReader in(symbols_.subspan(symbol_places_[number / kSymbolsApart]));
  for (std::uint64_t i = 0; i < number % kSymbolsApart; ++i) static_cast<void>(in.text());
  return in.text();
}

base::Status IndexReader::series(std::uint32_t ref, model::LabelSet* labels, std::vector<ChunkPlace>* chunks) const {
  const std::uint64_t offset = std::uint64_t{ref} * kSeriesAlignment;
  if (offset < series_begin_ || offset >= series_end_)
    return damage(path_, offset, fmt::format("series {} would stand outside of the series", ref));
  ByteReader frame(bytes_.subspan(offset, series_end_ - offset));
  const auto payload = frame.raw(frame.varint());
  const std::uint32_t checksum = read_be32(frame);
  if (!frame.ok()) return damage(path_, offset, fmt::format("series {} would reach beyond the series", ref));
  if (checksums_ == Checksums::kVerify && base::crc32c(payload) != checksum)
    return damage(path_, offset, fmt::format("series {} does not match its checksum", ref));

  ByteReader in(payload);
  const std::uint64_t label_count = in.varint();
  if (label_count > in.remaining() / 2) return damage(path_, offset, "a series has more labels than bytes");
  std::string label_bytes;
  base::ByteWriter label_writer(label_bytes);
  for (std::uint64_t i = 0; i < label_count; ++i) {
    const std::uint64_t name = in.varint();
    const std::uint64_t value = in.varint();
    if (labels == nullptr) continue;
    if (!in.ok()) return damage(path_, offset, "a series ends in its labels");
    QD_ASSIGN(const std::string_view name_text, symbol(name));
    QD_ASSIGN(const std::string_view value_text, symbol(value));
    label_writer.text(name_text);
    label_writer.text(value_text);
  }
  if (labels != nullptr) {
    auto read = model::LabelSet::from_bytes(label_bytes);
    if (!read) return damage(path_, offset, "the labels of a series: " + read.error().message());
    *labels = std::move(*read);
  }
  if (chunks == nullptr) return {};
  chunks->clear();
  const std::uint64_t chunk_count = in.varint();
  if (chunk_count > in.remaining() / kChunkPlaceBytesMin)
    return damage(path_, offset, "a series has more chunks than bytes");
  chunks->reserve(chunk_count);
  ChunkPlace place;
  for (std::uint64_t i = 0; i < chunk_count; ++i) {
    place.min_ms = static_cast<model::TimestampMs>(i == 0 ? static_cast<std::uint64_t>(in.signed_varint())
                                                          : wrapping_add(place.max_ms, in.varint()));
    place.max_ms = static_cast<model::TimestampMs>(wrapping_add(place.min_ms, in.varint()));
    place.ref = i == 0 ? in.varint() : place.ref + static_cast<std::uint64_t>(in.signed_varint());
    chunks->push_back(place);
  }
  if (!in.ok()) return damage(path_, offset, "a series ends in its chunks");
  return {};
}

// --- Label pairs ---

template <typename Call>
base::Status IndexReader::each_pair(std::string_view name, std::size_t from, Call call) const {
  const auto found = names_.find(name);
  if (found == names_.end() || from >= found->second.pairs) return {};
  const std::uint32_t place = found->second.places[from / kPairsApart];
  ByteReader in(pairs_.subspan(place));
  for (std::size_t i = from / kPairsApart * kPairsApart; i < found->second.pairs; ++i) {
    static_cast<void>(in.varint());
    Pair pair;
    pair.name = in.text();
    pair.value = in.text();
    pair.postings = in.varint();
    if (i < from) continue;
    QD_ASSIGN(const bool more, call(pair));
    if (!more) return {};
  }
  return {};
}

base::Result<std::optional<std::uint64_t>> IndexReader::find_pair(std::string_view name, std::string_view value) const {
  std::optional<std::uint64_t> postings;
  const auto found = names_.find(name);
  if (found == names_.end()) return postings;
  // The last stretch whose first pair is not behind the value.
  const auto& places = found->second.places;
  const auto value_at = [this](std::uint32_t place) {
    ByteReader in(pairs_.subspan(place));
    static_cast<void>(in.varint());
    static_cast<void>(in.text());
    return in.text();
  };
  const auto stretch = std::ranges::upper_bound(places, value, {}, value_at);
  if (stretch == places.begin()) return postings;
  const auto from = static_cast<std::size_t>(stretch - places.begin() - 1) * kPairsApart;
  QD_TRY(each_pair(name, from, [&](const Pair& pair) -> base::Result<bool> {
    if (pair.value == value) postings = pair.postings;
    return pair.value < value;
  }));
  return postings;
}

base::Result<Postings> IndexReader::postings_at(std::uint64_t offset) const {
  QD_ASSIGN(const auto payload, section(offset, "a list of postings"));
  ByteReader in(payload);
  const std::uint32_t count = read_be32(in);
  if (std::uint64_t{count} * sizeof(std::uint32_t) != in.remaining())
    return damage(path_, offset, fmt::format("a list of postings says that it has {} and has others", count));
  Postings list;
  list.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t ref = read_be32(in);
    if (i > 0 && ref <= list.back()) return damage(path_, offset, "a list of postings does not rise");
    list.push_back(ref);
  }
  return list;
}

base::Result<Postings> IndexReader::all() const {
  if (!all_postings_) return Postings();
  return postings_at(*all_postings_);
}

base::Result<Postings> IndexReader::carriers(const model::Matcher& matcher, bool accepted) const {
  std::vector<Postings> lists;
  const auto add = [&](std::uint64_t offset) -> base::Status {
    QD_ASSIGN(Postings list, postings_at(offset));
    lists.push_back(std::move(list));
    return {};
  };
  if (const auto literals = matcher.literal_values(); accepted && !literals.empty()) {
    for (const std::string& value : literals) {
      QD_ASSIGN(const auto offset, find_pair(matcher.name(), value));
      if (offset) QD_TRY(add(*offset));
    }
  } else {
    QD_TRY(each_pair(matcher.name(), 0, [&](const Pair& pair) -> base::Result<bool> {
      if (matcher.matches(pair.value) == accepted) QD_TRY(add(pair.postings));
      return true;
    }));
  }
  if (lists.size() == 1) return std::move(lists.front());
  const std::vector<PostingsView> views(lists.begin(), lists.end());
  return metrics::unite(views);
}

base::Result<Postings> IndexReader::find(std::span<const model::Matcher> matchers) const {
  std::optional<Postings> found;
  for (const model::Matcher& matcher : matchers) {
    if (matcher.matches_empty()) continue;
    QD_ASSIGN(const Postings list, carriers(matcher, true));
    found = found ? metrics::intersect(*found, list) : list;
    if (found->empty()) return Postings();
  }
  if (!found) {
    QD_ASSIGN(found, all());
  }
  for (const model::Matcher& matcher : matchers) {
    if (!matcher.matches_empty()) continue;
    QD_ASSIGN(const Postings list, carriers(matcher, false));
    found = metrics::subtract(*found, list);
  }
  return *std::move(found);
}

std::vector<std::string_view> IndexReader::label_names() const {
  std::vector<std::string_view> names;
  names.reserve(names_.size());
  for (const auto& [name, places] : names_) names.push_back(name);
  return names;
}

base::Result<std::vector<std::string_view>> IndexReader::label_values(std::string_view name) const {
  std::vector<std::string_view> values;
  QD_TRY(each_pair(name, 0, [&](const Pair& pair) -> base::Result<bool> {
    values.push_back(pair.value);
    return true;
  }));
  return values;
}

base::Result<std::vector<IndexReader::PairCount>> IndexReader::pair_counts(std::string_view name) const {
  std::vector<PairCount> counts;
  QD_TRY(each_pair(name, 0, [&](const Pair& pair) -> base::Result<bool> {
    QD_ASSIGN(const auto payload, section(pair.postings, "a list of postings"));
    ByteReader in(payload);
    counts.push_back({.value = pair.value, .series = read_be32(in)});
    return true;
  }));
  return counts;
}

base::Status IndexReader::verify() const {
  QD_ASSIGN(const Postings refs, all());
  model::LabelSet labels;
  model::LabelSet before;
  std::vector<ChunkPlace> chunks;
  std::map<std::pair<std::string, std::string>, Postings> carried;
  for (const std::uint32_t ref : refs) {
    QD_TRY(series(ref, &labels, &chunks));
    if (ref != refs.front() && !(before < labels)) {
      return damage(path_, std::uint64_t{ref} * kSeriesAlignment,
                    fmt::format("series {} does not come after {}", labels.to_string(), before.to_string()));
    }
    for (const model::Label& label : labels)
      carried[{std::string(label.name), std::string(label.value)}].push_back(ref);
    before = labels;
  }
  std::size_t pairs = 0;
  for (const auto& [name, places] : names_) {
    QD_TRY(each_pair(name, 0, [&](const Pair& pair) -> base::Result<bool> {
      QD_ASSIGN(const Postings list, postings_at(pair.postings));
      const auto found = carried.find({std::string(pair.name), std::string(pair.value)});
      if (found == carried.end() ? !list.empty() : list != found->second) {
        return damage(path_, pair.postings,
                      fmt::format("the postings of {}=\"{}\" are not the series that carry it", pair.name, pair.value));
      }
      if (found != carried.end()) ++pairs;
      return true;
    }));
  }
  if (pairs != carried.size()) return damage(path_, pairs_offset_, "there are label pairs without postings");
  return {};
}

}  // namespace qd::store::prometheus
