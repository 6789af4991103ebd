// The state of the platform that is not samples: an SQLite file, `state.db` in the data directory.
//
// Several processes may open it at once (the command line works on it while the server runs): write-ahead mode, five
// seconds of patience with the other's lock. Its schema is numbered by `user_version`; open() brings an older one up to
// date, and refuses a newer one. Thread-safe: one connection behind one lock, which is enough for what changes by hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"

struct sqlite3;

namespace qd::store::state {

// What a column holds or a parameter gives.
using Cell = std::variant<std::int64_t, std::string>;
using Row = std::vector<Cell>;

class Database {
 public:
  static base::Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs one statement with its parameters and gives the rows. NULL reads as "" and 0.
  base::Result<std::vector<Row>> run(const char* sql, std::span<const Cell> parameters = {}) QD_EXCLUDES(mutex_);

 private:
  Database(sqlite3* connection, std::string file) : connection_(connection), file_(std::move(file)) {}
  base::Status migrate() QD_EXCLUDES(mutex_);
  base::Error error(const char* doing) const QD_REQUIRES(mutex_);

  base::Mutex mutex_;
  sqlite3* const connection_ QD_PT_GUARDED_BY(mutex_);
  const std::string file_;
};

}  // namespace qd::store::state
