// What the collector asks a server, as a table: a statement gives rows whose first columns are labels and whose others
// are each the value of a family. Statements fit PostgreSQL 12 to 17; what a version has not is a NULL column or no
// statement at all.
//
// Sources: PostgreSQL's manual of the versions 12 to 17, chapters "The Cumulative Statistics System", "System Views",
// "System Administration Functions", pg_stat_statements and pg_buffercache.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe::postgres {

inline constexpr int kVersion17 = 170000;  // as server_version_num

// What the statements depend on, learned from the server when a connection is made.
struct ServerFacts {
  int version = 0;                 // as server_version_num: 150020
  std::string statements_schema;   // of pg_stat_statements in this database, quoted; empty: not there
  int statements_version = 0;      // of the extension: 110 for 1.10
  std::string buffercache_schema;  // of pg_buffercache
  int buffercache_version = 0;
  std::int64_t statements_limit = 100;
  std::int64_t statements_text_length = 0;
  bool operator==(const ServerFacts&) const = default;
};

enum class Scope : std::uint8_t {
  kServer,      // the same in every database of the server
  kDatabase,    // about the database that is asked
  kExtensions,  // about the server, in a database that has the extension
};

// What NULL is told as: no sample, 0, or NaN as the exporter does for columns that it does not know.
enum class Null : std::uint8_t { kSkip, kZero, kNan };

struct ValueColumn {
  std::string_view family;
  Null null = Null::kSkip;
  std::string_view old_family;  // the same under the name that an older exporter gave it
};

struct Statement {
  std::string_view collector;  // of pg_scrape_collector_success
  Scope scope = Scope::kServer;
  std::size_t labels = 0;  // how many columns in front are labels, in the order of the families' table
  std::vector<ValueColumn> values;
  // Nothing where this server does not have it.
  std::string (*sql)(const ServerFacts& facts) = nullptr;
  // The values are one histogram: cumulative counts for kIdleBuckets, then all, then the sum.
  bool histogram = false;
};

inline constexpr int kIdleBuckets[] = {1, 2, 5, 15, 30, 60, 90, 120, 300};

// In the order in which they are asked: what is quick first.
std::span<const Statement> statements();

// Parts of that list, by file.
std::vector<Statement> activity_statements();
std::vector<Statement> replication_statements();
std::vector<Statement> table_statements();

}  // namespace qd::observe::postgres
