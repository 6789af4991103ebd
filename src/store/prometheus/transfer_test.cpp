// Export and import, there and back.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/temp_directory.h"
#include "store/metrics/store.h"
#include "store/prometheus/chunk.h"
#include "store/prometheus/directory.h"
#include "store/prometheus/exporter.h"
#include "store/prometheus/importer.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using metrics::Columns;
using metrics::Store;
using model::LabelSet;
using model::TimestampMs;

constexpr TimestampMs kStart = 1'699'999'200'000;
constexpr TimestampMs kAll = model::kMaxTimestampMs;
constexpr std::size_t kMany = 1'000'000;
const Tick kOn = [](const Progress&) { return true; };

using Content = std::map<std::string, std::vector<std::pair<TimestampMs, double>>>;

class TransferTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> open_store(const std::string& name) {
    auto store = Store::open(files_, dir_ / name, options_, base::Log::silent(), registry_);
    EXPECT_TRUE(store) << store.error().message();
    return std::move(*store);
  }
  static void put(Store& store, int series, TimestampMs from_ms, int count, std::int64_t step_ms) {
    for (int i = 0; i < count; ++i) {
      const auto appender = store.appender();
      for (int s = 0; s < series; ++s) {
        const std::string number = fmt::format("{}", s);
        const auto ref = appender->series(LabelSet{{"__name__", s % 2 == 0 ? "a" : "b_total"}, {"s", number}});
        ASSERT_TRUE(ref);
        ASSERT_EQ(appender->append(*ref, from_ms + i * step_ms, i * 0.5 + s), metrics::AppendOutcome::kOk);
      }
      ASSERT_TRUE(appender->commit());
    }
  }
  static Content content(const metrics::Querier& querier) {
    Content all;
    const auto set = querier.select({}, 0, kAll, kMany);
    EXPECT_TRUE(set) << set.error().message();
    Columns columns;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      const auto read = (*set)->read(i, 0, kAll, columns);
      EXPECT_TRUE(read) << read.error().message();
      auto& samples = all[(*set)->labels(i).to_string()];
      for (std::size_t k = 0; k < columns.size(); ++k) samples.emplace_back(columns.times[k], columns.values[k]);
    }
    std::erase_if(all, [](const auto& entry) { return entry.second.empty(); });
    return all;
  }
  base::Result<ImportReport> import(const std::string& store, const metrics::Querier& from, const Interval& reach) {
    QD_ASSIGN(auto importer, Importer::create(files_, dir_ / store, options_));
    QD_TRY(importer->add(from, reach, kOn));
    return importer->commit();
  }
  base::Result<ImportReport> import_text(const std::string& store, std::string_view text) {
    QD_ASSIGN(auto importer, Importer::create(files_, dir_ / store, options_));
    QD_TRY(importer->add_openmetrics(text, kOn));
    return importer->commit();
  }

  base::PosixFiles files_;
  base::TempDirectory dir_;
  base::Registry registry_;
  metrics::StoreOptions options_;
  std::mt19937_64 random_{2};
};

TEST_F(TransferTest, blocks_there_and_back_are_the_same) {
  auto store = open_store("from");
  put(*store, 5, kStart, 400, 60'000);
  const Content before = content(*store);
  const Interval reach{.min_ms = kStart, .max_ms = kStart + 399 * 60'000};
  const auto report = export_blocks(files_, *store, dir_ / "blocks", {.reach = reach}, random_, kOn);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->samples, 2000U);
  ASSERT_EQ(report->blocks.size(), 4U);
  for (const BlockMeta& block : report->blocks) {
    EXPECT_EQ(block.min_ms % kBlockMs, 0);
    EXPECT_EQ(block.end_ms - block.min_ms, kBlockMs);
  }
  const auto blocks = Directory::open(files_, dir_ / "blocks", [](const Warning&) { FAIL(); });
  ASSERT_TRUE(blocks) << blocks.error().message();
  EXPECT_EQ(content(**blocks), before);

  open_store("to").reset();
  const auto imported = import("to", **blocks, (*blocks)->reach());
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(imported->samples, 2000U);
  EXPECT_EQ(content(*open_store("to")), before);
}

TEST_F(TransferTest, late_histograms_go_out_and_come_in_as_any) {
  auto store = open_store("from");
  put(*store, 2, kStart, 200, 60'000);
  model::Histogram histogram;
  histogram.is_integer = true;
  histogram.positive_spans = {{0, 1}};
  const LabelSet labels{{"__name__", "h"}, {"s", "x"}};
  // The newest first: all but one come late, some of them into a block before those of the numbers.
  for (int i = 100; i >= 0; --i) {
    const auto appender = store->appender();
    appender->take_late();
    histogram.positive = {i * 2.0};
    histogram.count = histogram.sum = i * 2.0;
    ASSERT_EQ(appender->append(*appender->series(labels), kStart - 3'600'000 + i * 60'000, histogram),
              metrics::AppendOutcome::kOk);
    ASSERT_TRUE(appender->commit());
  }
  const auto check = [&](const metrics::Querier& querier) {
    const std::vector<model::Matcher> matchers = {model::Matcher::equal("__name__", "h")};
    const auto set = querier.select(matchers, 0, kAll, kMany);
    ASSERT_TRUE(set);
    ASSERT_EQ((*set)->size(), 1U);
    Columns columns;
    ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
    ASSERT_EQ(columns.histograms.size(), 101U);
    for (std::size_t i = 0; i < 101; ++i) {
      EXPECT_EQ(columns.times[i], kStart - 3'600'000 + static_cast<TimestampMs>(i) * 60'000);
      ASSERT_NE(columns.histograms[i], nullptr);
      EXPECT_EQ(columns.histograms[i]->sum, static_cast<double>(i) * 2);
    }
  };
  check(*store);
  const Interval reach{.min_ms = kStart - 3'600'000, .max_ms = kStart + 199 * 60'000};
  const auto report = export_blocks(files_, *store, dir_ / "blocks", {.reach = reach}, random_, kOn);
  ASSERT_TRUE(report) << report.error().message();
  const auto blocks = Directory::open(files_, dir_ / "blocks", [](const Warning&) { FAIL(); });
  ASSERT_TRUE(blocks) << blocks.error().message();
  check(**blocks);
  open_store("to").reset();
  ASSERT_TRUE(import("to", **blocks, (*blocks)->reach()));
  check(*open_store("to"));
}

TEST_F(TransferTest, text_there_and_back_is_the_same) {
  auto store = open_store("from");
  put(*store, 5, kStart, 300, 61'001);
  const Interval reach{.min_ms = 0, .max_ms = kAll};
  const auto report = export_openmetrics(files_, *store, dir_ / "out.om", {.reach = reach}, kOn);
  ASSERT_TRUE(report) << report.error().message();
  const auto text = base::read_file(files_, dir_ / "out.om", 1 << 24);
  open_store("to").reset();
  const auto imported = import_text("to", *text);
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(content(*open_store("to")), content(*store));
}

TEST_F(TransferTest, what_is_there_stays_beside_what_is_imported) {
  {
    auto store = open_store("to");
    put(*store, 1, kStart, 10, 1000);
  }
  // Overlaps what is there: at equal times the store's own stays.
  const auto imported =
      import_text("to", "a{s=\"0\"} 77 1699999200\na{s=\"0\"} 5 1699990000\na{s=\"0\"} 6 1699999300\n# EOF\n");
  ASSERT_TRUE(imported) << imported.error().message();
  const auto all = content(*open_store("to"));
  ASSERT_EQ(all.size(), 1U);
  const auto& samples = all.begin()->second;
  ASSERT_EQ(samples.size(), 12U);
  EXPECT_EQ(samples.front(), (std::pair<TimestampMs, double>(1'699'990'000'000, 5)));
  EXPECT_EQ(samples[1], (std::pair<TimestampMs, double>(kStart, 0)));
  EXPECT_EQ(samples.back(), (std::pair<TimestampMs, double>(1'699'999'300'000, 6)));
}

TEST_F(TransferTest, text_may_come_in_any_order_and_the_later_line_counts) {
  open_store("to").reset();
  const auto imported = import_text("to", "x 3 30\nx 1 10\ny 5 10\nx 2 20\nx 9 10\n# EOF\n");
  ASSERT_TRUE(imported) << imported.error().message();
  const auto all = content(*open_store("to"));
  EXPECT_EQ(all.at("x"), (std::vector<std::pair<TimestampMs, double>>{{10'000, 9}, {20'000, 2}, {30'000, 3}}));
}

TEST_F(TransferTest, an_import_that_fails_or_is_stopped_leaves_nothing) {
  {
    auto store = open_store("to");
    put(*store, 1, kStart, 10, 1000);
  }
  const auto before = content(*open_store("to"));
  const auto bad = import_text("to", "x 1 10\nx 2 20\nx 3\n# EOF\n");
  EXPECT_EQ(bad.error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(import_text("to", "x 1 10\n").error().code(), ErrorCode::kInvalid);  // no # EOF
  auto store = open_store("from");
  put(*store, 5, kStart, 400, 60'000);
  {
    const auto importer = Importer::create(files_, dir_ / "to", options_);
    int calls = 0;
    const auto stopped = (*importer)->add(*store, {.min_ms = kStart, .max_ms = kStart + 400 * 60'000},
                                          [&](const Progress&) { return ++calls < 2; });
    EXPECT_EQ(stopped.error().code(), ErrorCode::kCancelled);
  }
  EXPECT_TRUE(files_.list(dir_ / "to/segments")->empty());
  EXPECT_EQ(content(*open_store("to")), before);
  const auto export_stopped =
      export_blocks(files_, *store, dir_ / "blocks", {.reach = {.min_ms = kStart, .max_ms = kStart + 1000}}, random_,
                    [](const Progress&) { return false; });
  EXPECT_EQ(export_stopped.error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(*files_.list(dir_ / "blocks"), std::vector<std::string>{"wal"});
}

TEST_F(TransferTest, text_cannot_say_stale_markers) {
  auto store = open_store("from");
  const auto appender = store->appender();
  const auto ref = appender->series(LabelSet{{"__name__", "a"}});
  appender->append(*ref, kStart, 1);
  appender->append(*ref, kStart + 1, model::stale_nan());
  ASSERT_TRUE(appender->commit());
  const auto report = export_openmetrics(files_, *store, dir_ / "o", {.reach = {.min_ms = 0, .max_ms = kAll}}, kOn);
  EXPECT_EQ(report->stale_markers, 1U);
  EXPECT_EQ(*base::read_file(files_, dir_ / "o", 1000), "a 1 1699999200.000\n# EOF\n");
}

}  // namespace
}  // namespace qd::store::prometheus
