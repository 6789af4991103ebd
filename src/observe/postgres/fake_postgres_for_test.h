// A server that answers the collector's statements with rows of the right width.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "connect/postgres/fake_server_for_test.h"
#include "observe/postgres/settings.h"
#include "observe/postgres/statements.h"

namespace qd::observe::postgres {

class FakePostgres {
 public:
  // Answers a statement itself, with messages of the protocol, when it gives some.
  using Override = std::function<std::optional<std::string>(const std::string& sql)>;

  explicit FakePostgres(int version = 150020, Override over = {})
      : version_(version), over_(std::move(over)), server_([this](auto& peer) { serve(peer); }) {}

  std::string address() const { return server_.address(); }
  int connections() const { return server_.connections(); }
  std::vector<std::string> asked() const {
    const base::MutexLock lock(mutex_);
    return asked_;
  }

 private:
  using Peer = connect::postgres::FakePeer;
  using Row = connect::postgres::FakeRow;

  void serve(Peer& peer) {
    if (!peer.welcome(fmt::format("{}.{}", version_ / 10'000, version_ % 10'000))) return;
    while (const auto sql = peer.query()) {
      {
        const base::MutexLock lock(mutex_);
        asked_.push_back(*sql);
      }
      const auto own = over_ ? over_(*sql) : std::nullopt;
      if (own && own->empty()) return;
      if (!peer.send(own ? *own : answer(*sql))) return;
    }
  }

  std::string answer(const std::string& sql) const {
    if (sql.starts_with("SET ")) return Peer::message('C', Peer::text("SET")) + Peer::ready();
    if (sql.starts_with("SELECT version()")) {
      return Peer::rows(
          {{fmt::format("PostgreSQL {}", version_), std::to_string(version_), "1", "public 1.10", "public 1.4"}});
    }
    if (sql == kSettingsSql) return Peer::rows({{"fsync", "on", "", "bool"}, {"lock_timeout", "5", "ms", "integer"}});
    ServerFacts facts;
    facts.version = version_;
    facts.statements_schema = facts.buffercache_schema = "public";
    facts.statements_version = 110;
    facts.buffercache_version = 104;
    facts.statements_text_length = 100;
    for (const Statement& statement : statements()) {
      if (statement.sql(facts) != sql) continue;
      const std::size_t values = statement.histogram ? std::size(kIdleBuckets) + 2 : statement.values.size();
      Row row(statement.labels, "label");
      row.resize(statement.labels + values, "1");
      return Peer::rows({row});
    }
    return Peer::error("42601", "what is that") + Peer::ready();
  }

  int version_;
  Override over_;
  mutable base::Mutex mutex_;
  std::vector<std::string> asked_ QD_GUARDED_BY(mutex_);
  connect::postgres::FakeServer server_;
};

}  // namespace qd::observe::postgres
