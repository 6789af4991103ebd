#include "observe/postgres/table.h"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "base/strings.h"
#include "observe/postgres/families.h"
#include "observe/utf8.h"

namespace qd::observe::postgres {
namespace {

// What a hundred thousand rows needed once is not kept for the next hundred.
constexpr std::size_t kKeptBytes = std::size_t{1} << 20;

// Text as it is stored: valid, and at most kLabelBytesMax long.
void append_text(std::string& bytes, std::string_view text) {
  if (text.size() > kLabelBytesMax) {
    text = text.substr(0, kLabelBytesMax);
    // Not within a character: its further bytes are 10xxxxxx.
    std::size_t end = text.size();
    while (end > text.size() - 4 && (static_cast<unsigned char>(text[end - 1]) & 0xc0) == 0x80) --end;
    if (static_cast<unsigned char>(text[end - 1]) >= 0xc0) text = text.substr(0, end - 1);
  }
  if (base::valid_utf8(text)) {
    bytes += text;
    return;
  }
  std::string made(text);
  make_utf8(made);
  bytes += made;
}

}  // namespace

void Table::clear() {
  width_ = 0;
  cells_.clear();
  bytes_.clear();
  if (bytes_.capacity() > kKeptBytes) bytes_.shrink_to_fit();
  if (cells_.capacity() * sizeof(Cell) > kKeptBytes) cells_.shrink_to_fit();
}

void Table::add(const connect::postgres::Row& row) {
  const auto width = static_cast<std::size_t>(row.columns());
  if (width_ == 0) {
    width_ = width;
    names_.resize(width);
    types_.resize(width);
    for (std::size_t i = 0; i < width; ++i) {
      names_[i] = row.name(static_cast<int>(i));
      types_[i] = row.type(static_cast<int>(i));
    }
  }
  if (width != width_) return;
  for (std::size_t i = 0; i < width; ++i) {
    Cell cell;
    // The limit of an answer is far below what 32 bits count.
    if (const auto text = row.value(static_cast<int>(i));
        text && bytes_.size() < std::numeric_limits<std::int32_t>::max()) {
      cell.at = static_cast<std::uint32_t>(bytes_.size());
      append_text(bytes_, *text);
      cell.size = static_cast<std::int32_t>(bytes_.size() - cell.at);
    }
    cells_.push_back(cell);
  }
}

std::optional<std::string_view> Table::text(std::size_t row, std::size_t column) const {
  const Cell& cell = cells_[row * width_ + column];
  if (cell.size < 0) return std::nullopt;
  return std::string_view(bytes_).substr(cell.at, static_cast<std::size_t>(cell.size));
}

std::optional<double> Table::number(std::size_t row, std::size_t column) const {
  const auto text = this->text(row, column);
  if (!text || text->empty()) return std::nullopt;
  // Takes "NaN" and "Infinity" as PostgreSQL writes them.
  double value = 0;
  const auto [at, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc::result_out_of_range) return base::parse_float(*text);
  if (error != std::errc{} || at != text->data() + text->size()) return std::nullopt;
  return value;
}

void Teller::name_labels(std::string_view names) {
  labels_.clear();
  while (!names.empty()) {
    const auto comma = names.find(',');
    labels_.push_back({names.substr(0, comma), {}});
    if (labels_.back().name == "server") labels_.back().value = server_;
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
}

void Teller::fill_labels(std::size_t count, std::size_t row, const Table& table) {
  for (std::size_t i = 0; i < count; ++i) labels_[i].value = table.text(row, i).value_or(std::string_view());
}

void Teller::tell_column(const Statement& statement, std::string_view family_name, std::size_t column, Null null,
                         const Table& table, Sink& sink) {
  const FamilyInfo& info = family(family_name);
  name_labels(info.labels);
  QD_ASSERT(labels_.size() >= statement.labels, info.name);
  const double told_for_null = null == Null::kNan ? std::numeric_limits<double>::quiet_NaN() : 0;
  bool begun = false;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto value = table.number(row, column);
    if (!value && (null == Null::kSkip || table.text(row, column))) continue;
    if (!std::exchange(begun, true)) sink.family(info.name, info.type, info.help);
    fill_labels(statement.labels, row, table);
    sink.sample(labels_, value.value_or(told_for_null));
  }
}

void Teller::tell_histogram(const Statement& statement, const Table& table, Sink& sink) {
  const FamilyInfo& info = family(statement.values.front().family);
  name_labels(info.labels);
  labels_.push_back({"le", {}});
  bool begun = false;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    constexpr std::size_t kBuckets = std::size(kIdleBuckets);
    const auto count = table.number(row, statement.labels + kBuckets);
    const auto sum = table.number(row, statement.labels + kBuckets + 1);
    if (!count || !sum) continue;
    if (!std::exchange(begun, true)) sink.family(info.name, info.type, info.help);
    fill_labels(statement.labels, row, table);
    for (std::size_t i = 0; i < kBuckets; ++i) {
      std::array<char, 12> bound{};
      const auto end = std::to_chars(bound.data(), bound.data() + bound.size(), kIdleBuckets[i]).ptr;
      labels_.back().value = std::string_view(bound.data(), static_cast<std::size_t>(end - bound.data()));
      sink.sample("_bucket", labels_, table.number(row, statement.labels + i).value_or(0));
    }
    labels_.back().value = "+Inf";
    sink.sample("_bucket", labels_, *count);
    const std::span<const model::Label> own(labels_.data(), labels_.size() - 1);
    sink.sample("_sum", own, *sum);
    sink.sample("_count", own, *count);
  }
}

void Teller::tell(const Statement& statement, const Table& table, Sink& sink) {
  const std::size_t values = statement.histogram ? std::size(kIdleBuckets) + 2 : statement.values.size();
  // A server that answers something else than was asked is no PostgreSQL.
  if (table.rows() == 0 || table.columns() != statement.labels + values) return;
  if (statement.histogram) return tell_histogram(statement, table, sink);
  for (std::size_t i = 0; i < values; ++i) {
    const ValueColumn& value = statement.values[i];
    const std::size_t column = statement.labels + i;
    if (!value.family.empty()) tell_column(statement, value.family, column, value.null, table, sink);
    if (old_names_ && !value.old_family.empty())
      tell_column(statement, value.old_family, column, value.null, table, sink);
  }
}

}  // namespace qd::observe::postgres
