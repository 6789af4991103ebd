// All families that the container collector tells, and those of cAdvisor that it does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "observe/family_info.h"

namespace qd::observe::containers {

// In the order of families(). Up to kScalars a cgroup has one value of each.
enum class Family : std::uint8_t {
  kLastSeen,
  kHealthState,
  kCreationTime,
  kStartTime,
  kSpecCpuPeriod,
  kSpecCpuQuota,
  kSpecCpuShares,
  kSpecMemoryLimit,
  kSpecMemoryReservation,
  kSpecMemorySwapLimit,
  kCpuUser,
  kCpuSystem,
  kCfsPeriods,
  kCfsThrottledPeriods,
  kCfsThrottledSeconds,
  kCfsBurstPeriods,
  kCfsBurstSeconds,
  kMemoryCache,
  kMemoryRss,
  kMemoryKernel,
  kMemoryMappedFile,
  kMemorySwap,
  kMemoryFailcnt,
  kMemoryUsage,
  kMemoryMaxUsage,
  kMemoryWorkingSet,
  kMemoryActiveFile,
  kMemoryInactiveFile,
  kMemoryEventsHigh,
  kMemoryEventsMax,
  kMemoryFileDirty,
  kMemoryFileWriteback,
  kMemoryPgscan,
  kMemoryPgsteal,
  kMemoryRefaultFile,
  kMemoryRefaultAnon,
  kOomEvents,
  kProcesses,
  kThreads,
  kThreadsMax,
  kFileDescriptors,
  kSockets,
  kPressureCpuStalled,
  kPressureCpuWaiting,
  kPressureMemoryStalled,
  kPressureMemoryWaiting,
  kPressureIoStalled,
  kPressureIoWaiting,
  kScalars,

  kCpuUsage = kScalars,
  kMemoryFailures,
  kUlimitsSoft,
  kBlkioDeviceUsage,
  kFsReadsBytes,
  kFsReads,
  kFsSectorReads,
  kFsReadsMerged,
  kFsReadSeconds,
  kFsWritesBytes,
  kFsWrites,
  kFsSectorWrites,
  kFsWritesMerged,
  kFsWriteSeconds,
  kFsIoCurrent,
  kFsIoTime,
  kFsIoTimeWeighted,
  kFsIoCostUsage,
  kFsIoCostWait,
  kFsIoCostIndebt,
  kFsIoCostIndelay,
  kFsInodesFree,
  kFsInodesTotal,
  kFsLimit,
  kFsUsage,
  kNetworkReceiveBytes,
  kNetworkReceivePackets,
  kNetworkReceiveErrors,
  kNetworkReceiveDropped,
  kNetworkTransmitBytes,
  kNetworkTransmitPackets,
  kNetworkTransmitErrors,
  kNetworkTransmitDropped,
  kContainerScrapeError,
  kVersionInfo,
  kMachineCpuCores,
  kMachineCpuPhysicalCores,
  kMachineCpuSockets,
  kMachineMemory,
  kMachineSwap,
  kMachineScrapeError,
  kCount,
};

constexpr std::size_t index_of(Family family) {
  return static_cast<std::size_t>(family);
}

std::span<const FamilyInfo> families();
const FamilyInfo& info(Family family);

std::span<const LeftOut> left_out();

}  // namespace qd::observe::containers
