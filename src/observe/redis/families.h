// Everything that the redis collector can tell, under the names of redis_exporter.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "observe/family_info.h"

namespace qd::observe::redis {

// Those with a * have names and texts that come from what the server says.
std::span<const FamilyInfo> families();
std::span<const LeftOut> left_out();

// Fields of INFO that are a family each: redis_<metric>, "<metric> metric". Their places in fields() are stable.
struct Field {
  std::string_view key;
  FamilyInfo family;
  double divisor = 1;  // to the family's unit
};
std::span<const Field> fields();
// The place in fields() of the one with this key.
std::optional<std::size_t> field_of(std::string_view key);

// The families that are put together, by what they are of.
extern const FamilyInfo kUp;
extern const FamilyInfo kInstanceInfo;
extern const FamilyInfo kStartTime;
extern const FamilyInfo kLastError;
extern const FamilyInfo kLastDuration;
extern const FamilyInfo kConnectTime;
extern const FamilyInfo kScrapes;
extern const FamilyInfo kScrapeDuration;

extern const FamilyInfo kCommands;
extern const FamilyInfo kCommandDuration;
extern const FamilyInfo kCommandRejected;
extern const FamilyInfo kCommandFailed;
extern const FamilyInfo kCommandSlow;
extern const FamilyInfo kCommandSlowDuration;
extern const FamilyInfo kCommandSlowMax;
extern const FamilyInfo kPercentiles;
extern const FamilyInfo kLatencies;
extern const FamilyInfo kErrors;
extern const FamilyInfo kActiveTime;

extern const FamilyInfo kDbKeys;
extern const FamilyInfo kDbExpiring;
extern const FamilyInfo kDbTtl;
extern const FamilyInfo kDbCached;
extern const FamilyInfo kDbExpiringItems;

extern const FamilyInfo kReplicaOffset;
extern const FamilyInfo kReplicaLag;
extern const FamilyInfo kMasterLink;
extern const FamilyInfo kMasterIo;
extern const FamilyInfo kMasterSync;
extern const FamilyInfo kReplOffset;
extern const FamilyInfo kReplicaInfo;

extern const FamilyInfo kCertificate;
extern const FamilyInfo kEngine;
extern const FamilyInfo kEngineMemory;
extern const FamilyInfo kEngineOverhead;

extern const FamilyInfo kConfigIoThreads;
extern const FamilyInfo kConfigMaxClients;
extern const FamilyInfo kConfigMaxMemory;
extern const FamilyInfo kConfigBacklog;
extern const FamilyInfo kConfigOutputBytes;
extern const FamilyInfo kConfigOutputSeconds;

extern const FamilyInfo kSpikeLast;
extern const FamilyInfo kSpikeDuration;
extern const FamilyInfo kSlowlogLength;
extern const FamilyInfo kSlowlogLast;
extern const FamilyInfo kSlowlogDuration;
extern const FamilyInfo kCommandlogLengths[3];  // slow, large-request, large-reply
extern const FamilyInfo kCommandlogConfig[6];   // in the order of kCommandlogKeys
inline constexpr std::string_view kCommandlogKeys[6] = {
    "commandlog-execution-slower-than", "commandlog-slow-execution-max-len", "commandlog-request-larger-than",
    "commandlog-large-request-max-len", "commandlog-reply-larger-than",      "commandlog-large-reply-max-len"};

// Of streams, groups and consumers, in the order in which they are told.
extern const FamilyInfo kStream[9];
extern const FamilyInfo kGroup[5];
extern const FamilyInfo kConsumer[2];

// Of sentinels: of INFO, by master of INFO, and by master of SENTINEL MASTERS.
extern const FamilyInfo kSentinel[5];
extern const FamilyInfo kSentinelStatus;
extern const FamilyInfo kSentinelReplicas;
extern const FamilyInfo kSentinelSentinels;
extern const FamilyInfo kSentinelQuorum;
extern const FamilyInfo kSentinelMaster[8];

}  // namespace qd::observe::redis
