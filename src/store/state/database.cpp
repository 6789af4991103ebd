#include "store/state/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <sys/stat.h>

namespace qd::store::state {

namespace {

using base::ErrorCode;

// The schema, a step a version: step i takes user_version i to i + 1. A step that was released never changes.
constexpr const char* kSteps[] = {
    "CREATE TABLE tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL DEFAULT 0) STRICT",
    "ALTER TABLE tokens ADD COLUMN scope TEXT NOT NULL DEFAULT 'all'",
};
constexpr int kVersion = static_cast<int>(std::size(kSteps));
constexpr int kPatienceMs = 5000;

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

}  // namespace

base::Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  sqlite3* connection = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
  const int rc = sqlite3_open_v2(file.c_str(), &connection, flags, nullptr);
  if (rc != SQLITE_OK) {
    const std::string why = connection ? sqlite3_errmsg(connection) : sqlite3_errstr(rc);
    sqlite3_close_v2(connection);
    return base::fail(ErrorCode::kUnavailable, fmt::format("opening the state database {}: {}", file.string(), why));
  }
  ::chmod(file.c_str(), 0600);
  sqlite3_busy_timeout(connection, kPatienceMs);
  std::unique_ptr<Database> database(new Database(connection, file.string()));
  QD_TRY(database->run("PRAGMA journal_mode=WAL"));
  QD_TRY(database->run("PRAGMA synchronous=FULL"));
  QD_TRY(database->migrate());
  return database;
}

Database::~Database() {
  sqlite3_close_v2(connection_);
}

base::Error Database::error(const char* doing) const {
  const int code = sqlite3_errcode(connection_) & 0xff;
  const auto kind = code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ErrorCode::kCorrupt
                    : code == SQLITE_CONSTRAINT                     ? ErrorCode::kConflict
                                                                    : ErrorCode::kUnavailable;
  return {kind, fmt::format("the state database {}: {}: {}{}", file_, doing, sqlite3_errmsg(connection_),
                            kind == ErrorCode::kCorrupt
                                ? ": restore it from a backup, or move it away (the tokens in it are lost then)"
                                : "")};
}

base::Status Database::migrate() {
  QD_ASSIGN(const auto rows, run("PRAGMA user_version"));
  const auto version = std::get<std::int64_t>(rows.at(0).at(0));
  if (version > kVersion)
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("the state database {} has schema version {}, this program knows up to {}: it was "
                                  "written by a newer Quarterdeck; use that one",
                                  file_, version, kVersion));
  for (auto step = version; step < kVersion; ++step) {
    QD_TRY(run("BEGIN IMMEDIATE"));
    // Another process may have been quicker.
    auto current = run("PRAGMA user_version");
    base::Status done;
    if (!current) {
      done = base::fail(current.error());
    } else if (std::get<std::int64_t>(current->at(0).at(0)) == step) {
      auto made = run(kSteps[step]);
      if (made) made = run(fmt::format("PRAGMA user_version={}", step + 1).c_str());
      if (!made) done = base::fail(made.error());
    }
    QD_TRY(run(done ? "COMMIT" : "ROLLBACK"));
    QD_TRY(done);
  }
  return {};
}

base::Result<std::vector<Row>> Database::run(const char* sql, std::span<const Cell> parameters) {
  base::MutexLock lock(mutex_);
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(connection_, sql, -1, &raw, nullptr) != SQLITE_OK) return base::fail(error("preparing"));
  const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const int at = static_cast<int>(i) + 1;
    int rc = SQLITE_OK;
    if (const auto* number = std::get_if<std::int64_t>(&parameters[i])) {
      rc = sqlite3_bind_int64(raw, at, *number);
    } else {
      const auto& text = std::get<std::string>(parameters[i]);
      rc = sqlite3_bind_text64(raw, at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    if (rc != SQLITE_OK) return base::fail(error("binding"));
  }
  std::vector<Row> rows;
  while (true) {
    const int rc = sqlite3_step(raw);
    if (rc == SQLITE_DONE) return rows;
    if (rc != SQLITE_ROW) return base::fail(error("running"));
    Row row;
    for (int i = 0; i < sqlite3_column_count(raw); ++i) {
      if (sqlite3_column_type(raw, i) == SQLITE_INTEGER) {
        row.emplace_back(static_cast<std::int64_t>(sqlite3_column_int64(raw, i)));
      } else {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, i));
        row.emplace_back(std::string(text ? text : "", static_cast<std::size_t>(sqlite3_column_bytes(raw, i))));
      }
    }
    rows.push_back(std::move(row));
  }
}

}  // namespace qd::store::state
