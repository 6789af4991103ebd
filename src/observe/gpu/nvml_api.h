// What is used of NVML, the management library of NVIDIA's driver (libnvidia-ml.so.1): names, values and layouts by its
// public API reference (https://docs.nvidia.com/deploy/nvml-api), so that no header of NVIDIA's is needed to build.
// The library keeps them stable: what changes comes under a new name (…_v2) or with a version in the struct.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qd::observe::gpu::nvml {

// nvmlReturn_t.
using Return = std::uint32_t;
inline constexpr Return kSuccess = 0;
inline constexpr Return kUninitialized = 1;
inline constexpr Return kInvalidArgument = 2;
inline constexpr Return kNotSupported = 3;
inline constexpr Return kNoPermission = 4;
inline constexpr Return kNotFound = 6;
inline constexpr Return kInsufficientSize = 7;
inline constexpr Return kInsufficientPower = 8;
inline constexpr Return kDriverNotLoaded = 9;
inline constexpr Return kTimeout = 10;
inline constexpr Return kIrqIssue = 11;
inline constexpr Return kLibraryNotFound = 12;
inline constexpr Return kFunctionNotFound = 13;
inline constexpr Return kGpuIsLost = 15;
inline constexpr Return kResetRequired = 16;
inline constexpr Return kVersionMismatch = 18;  // NVML_ERROR_LIB_RM_VERSION_MISMATCH
inline constexpr Return kNoData = 21;
inline constexpr Return kArgumentVersionMismatch = 25;
inline constexpr Return kDeprecated = 26;
inline constexpr Return kNotReady = 27;
inline constexpr Return kUnknown = 999;

using Device = struct DeviceHandle*;
using EventSet = struct EventSetHandle*;
using GpmSample = struct GpmSampleHandle*;

// No GPU instance: of a process or an event that is of the GPU as a whole.
inline constexpr std::uint32_t kNoInstance = 0xFFFFFFFF;
// Of a process whose memory the driver does not tell.
inline constexpr std::uint64_t kNotAvailable = ~std::uint64_t{0};

enum ClockType : std::uint32_t { kClockSm = 1, kClockMemory = 2 };
enum TemperatureSensor : std::uint32_t { kTemperatureGpu = 0 };
enum InforomObject : std::uint32_t { kInforomOem = 0, kInforomEcc = 1, kInforomPower = 2 };
enum P2pCapability : std::uint32_t { kP2pNvlink = 2 };
enum P2pStatus : std::uint32_t {
  kP2pOk,
  kP2pChipsetNotSupported,
  kP2pGpuNotSupported,
  kP2pTopologyNotSupported,
  kP2pDisabledByRegistryKey,
  kP2pNotSupported,
  kP2pUnknown
};
inline constexpr std::uint64_t kEventXid = 0x8;  // nvmlEventTypeXidCriticalError

struct PciInfo {  // nvmlPciInfo_t, of nvmlDeviceGetPciInfo_v3
  char bus_id_legacy[16];
  std::uint32_t domain, bus, device, device_id, subsystem_id;
  char bus_id[32];  // "00000000:18:00.0"
};
static_assert(sizeof(PciInfo) == 68);

struct Utilization {  // nvmlUtilization_t, in percent
  std::uint32_t gpu, memory;
};

struct Memory {  // nvmlMemory_t, in bytes
  std::uint64_t total, free, used;
};

struct MemoryV2 {  // nvmlMemory_v2_t, in bytes
  std::uint32_t version;
  std::uint64_t total, reserved, free, used;
};
static_assert(sizeof(MemoryV2) == 40);
inline constexpr std::uint32_t kMemoryV2 = sizeof(MemoryV2) | 2U << 24;

struct Process {  // nvmlProcessInfo_v2_t, of …RunningProcesses_v2
  std::uint32_t pid;
  std::uint64_t used_bytes;
  std::uint32_t gpu_instance, compute_instance;
};
static_assert(sizeof(Process) == 24);

struct ProcessUtilization {  // nvmlProcessUtilizationSample_t, in percent
  std::uint32_t pid;
  std::uint64_t time_us;
  std::uint32_t sm, memory, encoder, decoder;
};
static_assert(sizeof(ProcessUtilization) == 32);

struct Event {  // nvmlEventData_t
  Device device;
  std::uint64_t type, data;
  std::uint32_t gpu_instance, compute_instance;
};
static_assert(sizeof(Event) == 32);

union Value {  // nvmlValue_t
  double as_double;
  std::uint32_t as_u32;
  std::uint64_t as_u64;
  std::int64_t as_i64;
  std::int32_t as_i32;
  std::uint16_t as_u16;
};
enum ValueType : std::uint32_t { kDouble, kU32, kUnsignedLong, kU64, kI64, kI32, kU16 };

struct FieldValue {  // nvmlFieldValue_t
  std::uint32_t field, scope;
  std::int64_t time_us, latency_us;
  std::uint32_t type;
  Return status;
  Value value;
};
static_assert(sizeof(FieldValue) == 40 && offsetof(FieldValue, value) == 32);

// Scopes of the NVLink fields: a link's number, or the sum of all links.
inline constexpr std::uint32_t kAllLinks = 0xFFFFFFFF;
enum Field : std::uint32_t {  // NVML_FI_DEV_…
  kFieldEccSbeVolatile = 3,
  kFieldEccDbeVolatile = 4,
  kFieldEccSbeAggregate = 5,
  kFieldEccDbeAggregate = 6,
  kFieldRetiredSbe = 29,
  kFieldRetiredDbe = 30,
  kFieldRetiredPending = 31,
  kFieldNvlinkCrcFlit = 38,
  kFieldNvlinkCrcData = 45,
  kFieldNvlinkReplay = 52,
  kFieldNvlinkRecovery = 59,
  kFieldViolationPower = 74,  // in nanoseconds, as the five that follow
  kFieldViolationThermal = 75,
  kFieldViolationSyncBoost = 76,
  kFieldViolationBoardLimit = 77,
  kFieldViolationLowUtilization = 78,
  kFieldViolationReliability = 79,
  kFieldMemoryTemperature = 82,
  kFieldEnergy = 83,  // in millijoules
  kFieldPcieReplay = 94,
  kFieldNvlinkDataTx = 138,  // in KiB, as the next
  kFieldNvlinkDataRx = 139,
  kFieldRemappedCorrectable = 142,
  kFieldRemappedUncorrectable = 143,
  kFieldRemappingFailed = 145
};

struct LicenseFeature {  // nvmlGridLicensableFeature_t
  std::uint32_t code;
  std::uint32_t is_licensed;
  char license_info[128];
  char product_name[128];
  std::uint32_t is_enabled;
  std::uint32_t year;
  std::uint16_t month, day, hour, minute, second;
  std::uint8_t expiry_status;
};
static_assert(sizeof(LicenseFeature) == 284);

struct LicenseFeatures {  // nvmlGridLicensableFeatures_t, of nvmlDeviceGetGridLicensableFeatures_v4
  std::int32_t is_supported;
  std::uint32_t count;
  LicenseFeature features[3];
};
static_assert(sizeof(LicenseFeatures) == 860);

struct GpmSupport {  // nvmlGpmSupport_t
  std::uint32_t version;
  std::uint32_t is_supported;
};
inline constexpr std::uint32_t kGpmSupportVersion = 1;

enum GpmMetricId : std::uint32_t {  // NVML_GPM_METRIC_…: percent, and MiB/s for PCIe
  kGpmGraphics = 1,
  kGpmSm = 2,
  kGpmSmOccupancy = 3,
  kGpmAnyTensor = 5,
  kGpmDram = 10,
  kGpmFp64 = 11,
  kGpmFp32 = 12,
  kGpmFp16 = 13,
  kGpmPcieTx = 20,
  kGpmPcieRx = 21
};

struct GpmMetric {  // nvmlGpmMetric_t
  std::uint32_t id;
  Return status;
  double value;
  char *short_name, *long_name, *unit;
};
static_assert(sizeof(GpmMetric) == 40);

struct GpmMetricsGet {  // nvmlGpmMetricsGet_t; its array has grown from release to release, `count` says what is used
  std::uint32_t version;
  std::uint32_t count;
  GpmSample before, after;
  GpmMetric metrics[333];
};
inline constexpr std::uint32_t kGpmMetricsGetVersion = 1;

// Buffers that are large enough for each text.
inline constexpr std::uint32_t kTextBytes = 96;

}  // namespace qd::observe::gpu::nvml
