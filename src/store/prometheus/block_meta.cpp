#include "store/prometheus/block_meta.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace qd::store::prometheus {
namespace {

namespace json = boost::json;
using base::ErrorCode;

constexpr std::size_t kMetaBytesMax = 16 << 20;
constexpr std::int64_t kMetaVersion = 1;
constexpr std::string_view kOutOfOrderHint = "from-out-of-order";
constexpr std::string_view kUlidDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kUlidTimeDigits = 10;
constexpr std::size_t kUlidDigitCount = 26;

const json::value* member(const json::value* of, std::string_view name) {
  return of != nullptr && of->is_object() ? of->get_object().if_contains(name) : nullptr;
}

std::int64_t number(const json::value* of, std::string_view name) {
  const json::value* value = member(of, name);
  if (value == nullptr) return 0;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
  return 0;
}

std::uint64_t count(const json::value* of, std::string_view name) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number(of, name)));
}

std::string text(const json::value* of, std::string_view name) {
  const json::value* value = member(of, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

template <typename Call>
void each(const json::value* of, std::string_view name, Call call) {
  const json::value* value = member(of, name);
  if (value == nullptr || !value->is_array()) return;
  for (const json::value& element : value->get_array()) call(element);
}

json::array texts(const std::vector<std::string>& all) {
  json::array array;
  for (const std::string& one : all) array.emplace_back(one);
  return array;
}

}  // namespace

std::string BlockMeta::print() const {
  json::object root;
  root["ulid"] = ulid;
  root["minTime"] = min_ms;
  root["maxTime"] = end_ms;
  json::object stats{{"numSamples", samples}, {"numSeries", series}, {"numChunks", chunks}};
  if (tombstones > 0) stats["numTombstones"] = tombstones;
  root["stats"] = std::move(stats);
  json::object compaction{{"level", level}, {"sources", texts(sources)}};
  if (!parents.empty()) {
    json::array array;
    for (const std::string& parent : parents) array.push_back(json::object{{"ulid", parent}});
    compaction["parents"] = std::move(array);
  }
  if (out_of_order) compaction["hints"] = json::array{json::string(kOutOfOrderHint)};
  root["compaction"] = std::move(compaction);
  root["version"] = kMetaVersion;
  if (!external_labels.empty() || !files.empty()) {
    json::object labels;
    for (const auto& [name, value] : external_labels) labels[name] = value;
    json::array list;
    for (const File& file : files) list.push_back(json::object{{"rel_path", file.path}, {"size_bytes", file.bytes}});
    root["thanos"] = json::object{{"version", 1},
                                  {"labels", std::move(labels)},
                                  {"downsample", json::object{{"resolution", 0}}},
                                  {"source", "quarterdeck"},
                                  {"segment_files", nullptr},
                                  {"files", std::move(list)}};
    json::array segments;
    for (const File& file : files) {
      if (file.path.starts_with("chunks/")) segments.emplace_back(file.path.substr(7));
    }
    root["thanos"].as_object()["segment_files"] = std::move(segments);
  }
  return json::serialize(root) + "\n";
}

base::Result<BlockMeta> BlockMeta::parse(std::string_view source, const std::filesystem::path& path) {
  const auto corrupt = [&](std::string_view what) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path.native(), what));
  };
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(source.data(), source.size()), error);
  if (error) return corrupt("it is no JSON: " + error.message());
  if (!root.is_object()) return corrupt("it is no object");
  if (const std::int64_t version = number(&root, "version"); version != kMetaVersion) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} has version {} of a block's meta.json, and this Quarterdeck reads {}",
                                  path.native(), version, kMetaVersion));
  }
  BlockMeta meta;
  meta.ulid = text(&root, "ulid");
  if (!is_ulid(meta.ulid)) return corrupt("it names no ULID");
  if (member(&root, "minTime") == nullptr || member(&root, "maxTime") == nullptr)
    return corrupt("minTime or maxTime is not there");
  meta.min_ms = number(&root, "minTime");
  meta.end_ms = number(&root, "maxTime");
  if (meta.end_ms < meta.min_ms) return corrupt("maxTime is before minTime");
  const json::value* stats = member(&root, "stats");
  meta.samples = count(stats, "numSamples");
  meta.series = count(stats, "numSeries");
  meta.chunks = count(stats, "numChunks");
  meta.tombstones = count(stats, "numTombstones");
  const json::value* compaction = member(&root, "compaction");
  meta.level = static_cast<std::uint32_t>(std::min<std::uint64_t>(count(compaction, "level"), 1'000'000));
  each(compaction, "sources", [&](const json::value& one) {
    if (one.is_string()) meta.sources.emplace_back(one.get_string());
  });
  each(compaction, "parents", [&](const json::value& one) { meta.parents.push_back(text(&one, "ulid")); });
  each(compaction, "hints", [&](const json::value& one) {
    meta.out_of_order = meta.out_of_order || (one.is_string() && one.get_string() == kOutOfOrderHint);
  });
  if (const json::value* deletable = member(compaction, "deletable"); deletable != nullptr && deletable->is_bool())
    meta.deletable = deletable->get_bool();
  const json::value* thanos = member(&root, "thanos");
  if (const json::value* labels = member(thanos, "labels"); labels != nullptr && labels->is_object()) {
    for (const auto& [name, value] : labels->get_object()) {
      if (value.is_string()) meta.external_labels[std::string(name)] = std::string(value.get_string());
    }
  }
  each(thanos, "files", [&](const json::value& one) {
    meta.files.push_back({.path = text(&one, "rel_path"), .bytes = count(&one, "size_bytes")});
  });
  return meta;
}

base::Result<BlockMeta> BlockMeta::read(base::Files& files, const std::filesystem::path& dir) {
  const auto path = dir / kMetaName;
  QD_ASSIGN(const std::string source, base::read_file(files, path, kMetaBytesMax));
  return parse(source, path);
}

std::string make_ulid(model::TimestampMs time_ms, std::mt19937_64& random) {
  std::string ulid(kUlidDigitCount, '0');
  auto time = static_cast<std::uint64_t>(time_ms);
  for (std::size_t i = kUlidTimeDigits; i > 0; --i, time /= 32) ulid[i - 1] = kUlidDigits[time % 32];
  for (std::size_t i = kUlidTimeDigits; i < kUlidDigitCount; ++i) ulid[i] = kUlidDigits[random() % 32];
  return ulid;
}

bool is_ulid(std::string_view text) {
  return text.size() == kUlidDigitCount && text.front() <= '7' &&
         std::ranges::all_of(text, [](char c) { return kUlidDigits.find(c) != std::string_view::npos; });
}

}  // namespace qd::store::prometheus
