#include "observe/redis/sentinel.h"

#include <algorithm>

#include "base/strings.h"
#include "observe/redis/families.h"
#include "observe/redis/info.h"
#include "observe/redis/tell.h"
#include "observe/utf8.h"

namespace qd::observe::redis {
namespace {

constexpr std::size_t kRepliesOfMaster = 3;
constexpr std::size_t kPeersMax = 1000;
constexpr std::size_t kMessageBytesMax = 200;

// How many of the sentinels or replicas that a reply lists are not held to be down.
double count_well(const Reply& list) {
  double count = 0;
  std::size_t seen = 0;
  for (Reply peer = list.first(); peer && seen < kPeersMax; peer = peer.next(), ++seen) {
    const Reply flags = peer.value_of("flags");
    if (!flags || flags.text().find("_down") != std::string_view::npos) continue;
    ++count;
  }
  return count;
}

}  // namespace

base::Status Sentinel::ask(Session& session, std::int64_t deadline_ns) {
  masters_.clear();
  if (!session.may(Ask::kSentinel)) return {};
  request_.clear();
  replies_.clear();
  append_command(request_, {"SENTINEL", "MASTERS"});
  QD_TRY(session.ask(request_, 1, replies_, deadline_ns));
  if (replies_[0].is_error()) {
    session.refused(Ask::kSentinel, replies_[0].text());
    return {};
  }
  request_.clear();
  for (Reply one = replies_[0].first(); one && masters_.size() < kMastersMax; one = one.next()) {
    const Reply name = one.value_of("name"), ip = one.value_of("ip"), port = one.value_of("port");
    if (!name || !ip || !port) continue;
    for (const char* what : {"CKQUORUM", "SENTINELS", "SLAVES"}) {
      append_command(request_, {"SENTINEL", what, name.text()});
    }
    Master& master = masters_.emplace_back();
    master.name = name.text();
    master.address.append(ip.text()).append(":").append(port.text());
    static constexpr std::array kKeys = {"quorum",         "failover-timeout",
                                         "parallel-syncs", "down-after-milliseconds",
                                         "config-epoch",   "last-ok-ping-reply"};
    for (std::size_t i = 0; i < kKeys.size(); ++i) master.values[i] = base::parse_float(one.value_of(kKeys[i]).text());
    if (master.values[5]) *master.values[5] /= 1000;
  }
  if (masters_.empty()) return {};
  replies_.clear();
  const base::Status status = session.ask(request_, masters_.size() * kRepliesOfMaster, replies_, deadline_ns);
  for (std::size_t i = 0; i < masters_.size(); ++i) {
    Master& master = masters_[i];
    const Reply quorum = replies_[i * kRepliesOfMaster];
    master.quorum = quorum && !quorum.is_error();
    master.quorum_message = quorum.text().substr(0, kMessageBytesMax);
    // This sentinel itself is one, and it is well.
    if (const Reply list = replies_[i * kRepliesOfMaster + 1]) master.values[6] = count_well(list) + 1;
    if (const Reply list = replies_[i * kRepliesOfMaster + 2]) master.values[7] = count_well(list);
    for (std::string* text : {&master.name, &master.address, &master.quorum_message}) make_utf8(*text);
  }
  return status;
}

void Sentinel::tell(Sink& sink) const {
  tell_rows(
      sink, kSentinelQuorum, masters_, [](const Master& row) { return !row.quorum_message.empty(); },
      [&](const Master& row) {
        sink.sample({{"master_name", row.name}, {"message", row.quorum_message}}, row.quorum ? 1 : 0);
      });
  for (std::size_t i = 0; i < std::size(kSentinelMaster); ++i) {
    tell_rows(
        sink, kSentinelMaster[i], masters_, [&](const Master& row) { return row.values[i].has_value(); },
        [&](const Master& row) {
          sink.sample({{"master_name", row.name}, {"master_address", row.address}}, *row.values[i]);
        });
  }
}

}  // namespace qd::observe::redis
