#include "observe/redis/streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/strings.h"
#include "observe/redis/families.h"
#include "observe/redis/tell.h"
#include "observe/utf8.h"

namespace qd::observe::redis {
namespace {

// "1795651184520-0" is when an entry came in milliseconds, and its number among those of that millisecond.
double entry_time_ms(std::string_view id) {
  return base::parse_float(id.substr(0, id.find('-'))).value_or(0);
}

std::optional<double> number(const Reply& reply) {
  if (reply.kind() != Reply::Kind::kInteger) return std::nullopt;
  return static_cast<double>(reply.integer());
}

std::optional<double> time_of(const Reply& id) {
  if (id.kind() != Reply::Kind::kText) return std::nullopt;
  return entry_time_ms(id.text());
}

std::string as_label(std::string_view text) {
  std::string label(text);
  make_utf8(label);
  return label;
}

}  // namespace

base::Result<StreamKey> parse_stream_key(std::string_view text) {
  StreamKey stream;
  const auto equals = text.find('=');
  if (text.starts_with("db") && equals != std::string_view::npos) {
    const std::string_view digits = text.substr(2, equals - 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), stream.database);
    if (error == std::errc{} && end == digits.data() + digits.size()) {
      stream.key = text.substr(equals + 1);
    } else {
      stream.key = text;
    }
  } else {
    stream.key = text;
  }
  if (stream.key.empty()) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("{:?} names no stream: write its key, or db3=key for one of database 3", text));
  }
  return stream;
}

Streams::Streams(const std::vector<std::string>& keys) {
  for (const std::string& text : keys) {
    auto key = parse_stream_key(text);
    if (!key || watched_.size() == kStreamsMax) continue;
    Watched watched{*key, fmt::format("db{}", key->database), as_label(key->key)};
    const auto same = [&](const Watched& other) {
      return other.database_label == watched.database_label && other.label == watched.label;
    };
    if (std::ranges::none_of(watched_, same)) watched_.push_back(std::move(watched));
  }
}

void Streams::clear() {
  streams_.clear();
  groups_.clear();
  consumers_.clear();
}

base::Status Streams::ask(Session& session, std::optional<base::Error>& trouble, std::int64_t deadline_ns) {
  clear();
  if (watched_.empty() || !session.may(Ask::kStreams)) return {};
  QD_TRY(ask_streams(session, trouble, deadline_ns));
  return ask_consumers(session, deadline_ns);
}

void Streams::select(const Session& session, std::uint32_t database, std::uint32_t& selected) {
  if (asked_.empty()) selected = session.database;
  if (selected == database) return;
  append_command(request_, {"SELECT", fmt::format("{}", database)});
  asked_.push_back({.of = 0, .is_select = true});
  selected = database;
}

base::Status Streams::ask_streams(Session& session, std::optional<base::Error>& trouble, std::int64_t deadline_ns) {
  request_.clear();
  asked_.clear();
  replies_.clear();
  std::uint32_t selected = session.database;
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    select(session, watched_[i].key.database, selected);
    append_command(request_, {"XINFO", "STREAM", watched_[i].key.key});
    asked_.push_back({.of = i});
    append_command(request_, {"XINFO", "GROUPS", watched_[i].key.key});
    asked_.push_back({.of = i, .is_groups = true});
  }
  QD_TRY(session.ask(request_, asked_.size(), replies_, deadline_ns));
  session.database = selected;
  bool wrong_database = false;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    const Reply reply = replies_[i];
    const Asked& asked = asked_[i];
    if (asked.is_select) wrong_database = reply.is_error();
    const Watched& watched = watched_[asked.of];
    if (reply.is_error()) {
      if (reply.text().starts_with("NOPERM")) {
        session.refused(Ask::kStreams, reply.text());
      } else if (!trouble) {
        trouble.emplace(base::ErrorCode::kNotFound,
                        fmt::format("the stream {}={} of observe.redis[].streams cannot be read: {}",
                                    watched.database_label, watched.label, as_label(reply.text().substr(0, 200))));
      }
      continue;
    }
    // What comes then is of another database.
    if (asked.is_select || wrong_database) continue;
    if (asked.is_groups) {
      take_groups(watched, reply);
    } else {
      take_stream(watched, reply);
    }
  }
  // The connection is where the last SELECT that worked has left it, which nobody knows now.
  if (wrong_database) session.close();
  return {};
}

base::Status Streams::ask_consumers(Session& session, std::int64_t deadline_ns) {
  if (groups_.empty() || !session.is_open()) return {};
  request_.clear();
  asked_.clear();
  replies_.clear();
  std::uint32_t selected = session.database;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    select(session, groups_[i].of->key.database, selected);
    append_command(request_, {"XINFO", "CONSUMERS", groups_[i].of->key.key, groups_[i].name});
    asked_.push_back({.of = i});
  }
  QD_TRY(session.ask(request_, asked_.size(), replies_, deadline_ns));
  session.database = selected;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    if (asked_[i].is_select) continue;
    for (Reply one = replies_[i].first(); one && consumers_.size() < kConsumersMax; one = one.next()) {
      Consumer consumer{asked_[i].of, as_label(one.value_of("name").text()), {}};
      consumer.values[0] = number(one.value_of("pending"));
      consumer.values[1] = number(one.value_of("idle"));
      if (consumer.values[1]) *consumer.values[1] /= 1e3;
      consumers_.push_back(std::move(consumer));
    }
  }
  return {};
}

void Streams::take_stream(const Watched& watched, const Reply& reply) {
  Stream stream{&watched, {}};
  static constexpr std::array kNumbers = {std::pair(0, "length"), std::pair(1, "radix-tree-keys"),
                                          std::pair(2, "radix-tree-nodes"), std::pair(3, "groups"),
                                          std::pair(6, "entries-added")};
  for (const auto& [place, key] : kNumbers)
    stream.values[static_cast<std::size_t>(place)] = number(reply.value_of(key));
  stream.values[4] = time_of(reply.value_of("last-generated-id"));
  stream.values[5] = time_of(reply.value_of("max-deleted-entry-id"));
  // An empty stream has no entries, and is told as 0.
  const Reply first = reply.value_of("first-entry"), last = reply.value_of("last-entry");
  if (first) stream.values[7] = entry_time_ms(first.first().text());
  if (last) stream.values[8] = entry_time_ms(last.first().text());
  streams_.push_back(stream);
}

void Streams::take_groups(const Watched& watched, const Reply& reply) {
  for (Reply one = reply.first(); one && groups_.size() < kGroupsMax; one = one.next()) {
    const Reply name = one.value_of("name");
    if (name.kind() != Reply::Kind::kText) continue;
    Group group{&watched, std::string(name.text()), as_label(name.text()), {}};
    group.values[0] = number(one.value_of("consumers"));
    group.values[1] = number(one.value_of("pending"));
    group.values[2] = time_of(one.value_of("last-delivered-id"));
    // Null where the server cannot know them, as after entries were deleted.
    group.values[3] = number(one.value_of("entries-read"));
    group.values[4] = number(one.value_of("lag"));
    groups_.push_back(std::move(group));
  }
}

void Streams::tell(Sink& sink) const {
  const auto tell_all = [&](const auto& families, const auto& rows, auto sample) {
    for (std::size_t i = 0; i < std::size(families); ++i) {
      tell_rows(
          sink, families[i], rows, [&](const auto& row) { return row.values[i].has_value(); },
          [&](const auto& row) { sample(row, *row.values[i]); });
    }
  };
  tell_all(kStream, streams_, [&](const Stream& row, double value) {
    sink.sample({{"db", row.of->database_label}, {"stream", row.of->label}}, value);
  });
  tell_all(kGroup, groups_, [&](const Group& row, double value) {
    sink.sample({{"db", row.of->database_label}, {"stream", row.of->label}, {"group", row.label}}, value);
  });
  tell_all(kConsumer, consumers_, [&](const Consumer& row, double value) {
    const Group& group = groups_[row.group];
    sink.sample({{"db", group.of->database_label},
                 {"stream", group.of->label},
                 {"group", group.label},
                 {"consumer", row.label}},
                value);
  });
}

}  // namespace qd::observe::redis
