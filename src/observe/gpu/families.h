// Everything that the GPU collector can tell, and the figures of a GPU that most of it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "observe/family_info.h"

namespace qd::observe::gpu {

std::span<const FamilyInfo> families();
std::span<const LeftOut> left_out();

// What is one number of a GPU, or of an instance of one. In the order of the families.
enum class Figure : std::uint8_t {
  kSmClock,
  kMemoryClock,
  kMemoryTemperature,
  kGpuTemperature,
  kPowerUsage,
  kEnergy,
  kPcieReplay,
  kGpuUtilization,
  kMemoryCopyUtilization,
  kEncoderUtilization,
  kDecoderUtilization,
  kPowerViolation,
  kThermalViolation,
  kSyncBoostViolation,
  kBoardLimitViolation,
  kLowUtilizationViolation,
  kReliabilityViolation,
  kFramebufferFree,
  kFramebufferUsed,
  kFramebufferReserved,
  kEccSbeVolatile,
  kEccDbeVolatile,
  kEccSbeAggregate,
  kEccDbeAggregate,
  kRetiredSbe,
  kRetiredDbe,
  kRetiredPending,
  kNvlinkCrcFlit,
  kNvlinkCrcData,
  kNvlinkReplay,
  kNvlinkRecovery,
  kNvlinkBandwidth,
  kNvlinkBandwidthL0,
  kVgpuLicense,
  kRemappedUncorrectable,
  kRemappedCorrectable,
  kRemappingFailed,
  kGraphicsActive,
  kSmActive,
  kSmOccupancy,
  kTensorActive,
  kDramActive,
  kFp64Active,
  kFp32Active,
  kFp16Active,
  kPcieTxBytes,
  kPcieRxBytes,
  kCount
};
inline constexpr std::size_t kFigures = static_cast<std::size_t>(Figure::kCount);

const FamilyInfo& family_of(Figure figure);

// The families that are put together.
extern const FamilyInfo kXidErrors;
extern const FamilyInfo kXidErrorsCount;
extern const FamilyInfo kClockEventsCount;
extern const FamilyInfo kP2pStatus;
extern const FamilyInfo kProcessFbUsed;
extern const FamilyInfo kProcessSmUtil;

// Fields of DCGM that are no families, but labels of all of them where observe.gpu.labels has them.
enum class LabelField : std::uint8_t {
  kDriverVersion,
  kNvmlVersion,
  kBrand,
  kSerial,
  kOemInforomVersion,
  kEccInforomVersion,
  kPowerInforomVersion,
  kInforomImageVersion,
  kVbiosVersion,
  kCount
};
// By LabelField: "DCGM_FI_DRIVER_VERSION", ….
std::span<const std::string_view> label_fields();

// Names that are label values: of an XID error, of a brand, of what holds a clock back (by the bit's number, empty for
// a bit that has no name), of whether two GPUs reach each other over NVLink.
std::string_view xid_text(std::uint64_t xid);
std::string_view brand_name(std::uint32_t brand);
std::string_view clock_event_name(std::size_t bit);
std::string_view p2p_status_name(std::uint32_t status);

}  // namespace qd::observe::gpu
