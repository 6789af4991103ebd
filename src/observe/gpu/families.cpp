#include "observe/gpu/families.h"

#include <array>
#include <vector>

#include "observe/gpu/nvml_api.h"

// Labels of every sample; of those that an instance of a GPU has as well; and of a process's.
#define QD_OF_GPU "gpu,UUID,pci_bus_id,device,modelName,Hostname,DCGM_FI_DRIVER_VERSION"
#define QD_OF_INSTANCE QD_OF_GPU ",GPU_I_PROFILE,GPU_I_ID"
#define QD_OF_PROCESS QD_OF_INSTANCE ",pid,process,container,pod,namespace"

namespace qd::observe::gpu {
namespace {

using namespace std::string_view_literals;
using enum model::MetricType;

// Names, types and texts of dcgm-exporter.
constexpr std::array<FamilyInfo, kFigures> kPlain = {{
    {"DCGM_FI_DEV_SM_CLOCK", kGauge, "SM clock frequency (in MHz).", QD_OF_GPU},
    {"DCGM_FI_DEV_MEM_CLOCK", kGauge, "Memory clock frequency (in MHz).", QD_OF_GPU},
    {"DCGM_FI_DEV_MEMORY_TEMP", kGauge, "Memory temperature (in C).", QD_OF_GPU},
    {"DCGM_FI_DEV_GPU_TEMP", kGauge, "GPU temperature (in C).", QD_OF_GPU},
    {"DCGM_FI_DEV_POWER_USAGE", kGauge, "Power draw (in W).", QD_OF_GPU},
    {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", kCounter, "Total energy consumption since boot (in mJ).", QD_OF_GPU},
    {"DCGM_FI_DEV_PCIE_REPLAY_COUNTER", kCounter, "Total number of PCIe retries.", QD_OF_GPU},
    {"DCGM_FI_DEV_GPU_UTIL", kGauge, "GPU utilization (in %).", QD_OF_GPU},
    {"DCGM_FI_DEV_MEM_COPY_UTIL", kGauge, "Memory utilization (in %).", QD_OF_GPU},
    {"DCGM_FI_DEV_ENC_UTIL", kGauge, "Encoder utilization (in %).", QD_OF_GPU},
    {"DCGM_FI_DEV_DEC_UTIL", kGauge, "Decoder utilization (in %).", QD_OF_GPU},
    {"DCGM_FI_DEV_POWER_VIOLATION", kCounter, "Throttling duration due to power constraints (in ns).", QD_OF_GPU},
    {"DCGM_FI_DEV_THERMAL_VIOLATION", kCounter, "Throttling duration due to thermal constraints (in ns).", QD_OF_GPU},
    {"DCGM_FI_DEV_SYNC_BOOST_VIOLATION", kCounter, "Throttling duration due to sync-boost constraints (in ns).",
     QD_OF_GPU},
    {"DCGM_FI_DEV_BOARD_LIMIT_VIOLATION", kCounter, "Throttling duration due to board limit constraints (in ns).",
     QD_OF_GPU},
    {"DCGM_FI_DEV_LOW_UTIL_VIOLATION", kCounter, "Throttling duration due to low utilization (in ns).", QD_OF_GPU},
    {"DCGM_FI_DEV_RELIABILITY_VIOLATION", kCounter, "Throttling duration due to reliability constraints (in ns).",
     QD_OF_GPU},
    {"DCGM_FI_DEV_FB_FREE", kGauge, "Framebuffer memory free (in MiB).", QD_OF_INSTANCE},
    {"DCGM_FI_DEV_FB_USED", kGauge, "Framebuffer memory used (in MiB).", QD_OF_INSTANCE},
    {"DCGM_FI_DEV_FB_RESERVED", kGauge, "Framebuffer memory reserved (in MiB).", QD_OF_INSTANCE},
    {"DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", kCounter, "Total number of single-bit volatile ECC errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", kCounter, "Total number of double-bit volatile ECC errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", kCounter, "Total number of single-bit persistent ECC errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", kCounter, "Total number of double-bit persistent ECC errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_RETIRED_SBE", kCounter, "Total number of retired pages due to single-bit errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_RETIRED_DBE", kCounter, "Total number of retired pages due to double-bit errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_RETIRED_PENDING", kCounter, "Total number of pages pending retirement.", QD_OF_GPU},
    {"DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", kCounter, "Total number of NVLink flow-control CRC errors.",
     QD_OF_GPU},
    {"DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", kCounter, "Total number of NVLink data CRC errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", kCounter, "Total number of NVLink retries.", QD_OF_GPU},
    {"DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", kCounter, "Total number of NVLink recovery errors.", QD_OF_GPU},
    {"DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", kGauge,
     "Throughput of all NVLinks, both directions (in MB/s): the exporter calls this rate a counter.", QD_OF_GPU},
    {"DCGM_FI_DEV_NVLINK_BANDWIDTH_L0", kGauge,
     "Throughput of NVLink 0, both directions (in MB/s): the exporter calls this rate a counter.", QD_OF_GPU},
    {"DCGM_FI_DEV_VGPU_LICENSE_STATUS", kGauge, "vGPU License status", QD_OF_GPU},
    {"DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", kCounter, "Number of remapped rows for uncorrectable errors",
     QD_OF_GPU},
    {"DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", kCounter, "Number of remapped rows for correctable errors", QD_OF_GPU},
    {"DCGM_FI_DEV_ROW_REMAP_FAILURE", kGauge, "Whether remapping of rows has failed", QD_OF_GPU},
    {"DCGM_FI_PROF_GR_ENGINE_ACTIVE", kGauge, "Ratio of time the graphics engine is active.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_SM_ACTIVE", kGauge, "The ratio of cycles an SM has at least 1 warp assigned.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_SM_OCCUPANCY", kGauge, "The ratio of number of warps resident on an SM.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", kGauge, "Ratio of cycles the tensor (HMMA) pipe is active.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_DRAM_ACTIVE", kGauge,
     "Ratio of cycles the device memory interface is active sending or receiving data.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_PIPE_FP64_ACTIVE", kGauge, "Ratio of cycles the fp64 pipes are active.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_PIPE_FP32_ACTIVE", kGauge, "Ratio of cycles the fp32 pipes are active.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_PIPE_FP16_ACTIVE", kGauge, "Ratio of cycles the fp16 pipes are active.", QD_OF_INSTANCE},
    {"DCGM_FI_PROF_PCIE_TX_BYTES", kGauge,
     "The rate of data transmitted over the PCIe bus - including both protocol headers and data payloads - in bytes "
     "per second.",
     QD_OF_INSTANCE},
    {"DCGM_FI_PROF_PCIE_RX_BYTES", kGauge,
     "The rate of data received over the PCIe bus - including both protocol headers and data payloads - in bytes per "
     "second.",
     QD_OF_INSTANCE},
}};

constexpr std::array<std::string_view, static_cast<std::size_t>(LabelField::kCount)> kLabelFields = {
    "DCGM_FI_DRIVER_VERSION",
    "DCGM_FI_NVML_VERSION",
    "DCGM_FI_DEV_BRAND",
    "DCGM_FI_DEV_SERIAL",
    "DCGM_FI_DEV_OEM_INFOROM_VER",
    "DCGM_FI_DEV_ECC_INFOROM_VER",
    "DCGM_FI_DEV_POWER_INFOROM_VER",
    "DCGM_FI_DEV_INFOROM_IMAGE_VER",
    "DCGM_FI_DEV_VBIOS_VERSION",
};

// By nvmlBrandType_t.
constexpr auto kBrands = std::to_array<std::string_view>(
    {"Unknown", "Quadro", "Tesla", "NVS", "Grid", "GeForce", "Titan", "NVIDIA Virtual Applications",
     "NVIDIA Virtual PC", "NVIDIA Virtual Compute Server", "NVIDIA RTX Virtual Workstation", "NVIDIA Cloud Gaming",
     "Quadro RTX", "NVIDIA RTX", "NVIDIA", "GeForce RTX", "Titan RTX"});

// By the bit of nvmlClocksEventReasons.
constexpr auto kClockEvents =
    std::to_array<std::string_view>({"gpu_idle", "clocks_setting", "power_cap", "hw_slowdown", "sync_boost",
                                     "sw_thermal", "hw_thermal", "hw_power_brake", "display_clocks"});

constexpr auto kP2pStatuses =
    std::to_array<std::string_view>({"OK", "ChipsetNotSupported", "GPUNotSupported", "TopologyNotSupported",
                                     "DisabledByRegKey", "NotSupported", "Unknown"});

}  // namespace

constexpr FamilyInfo kXidErrors = {"DCGM_FI_DEV_XID_ERRORS", kGauge, "Value of the last XID error encountered.",
                                   QD_OF_GPU ",err_code,err_msg"};
constexpr FamilyInfo kXidErrorsCount = {"DCGM_EXP_XID_ERRORS_COUNT", kGauge,
                                        "Count of XID errors within the last five minutes.",
                                        QD_OF_GPU ",window_size_in_ms,xid"};
constexpr FamilyInfo kClockEventsCount = {
    "DCGM_EXP_CLOCK_EVENTS_COUNT", kGauge,
    "Count of passes within the last five minutes in which something held the clocks back.",
    QD_OF_GPU ",window_size_in_ms,clock_event"};
constexpr FamilyInfo kP2pStatus = {"DCGM_EXP_P2P_STATUS", kGauge,
                                   "Whether the GPU and its peer reach each other over NVLink (0: they do).",
                                   QD_OF_GPU ",peer_gpu,link_status"};
constexpr FamilyInfo kProcessFbUsed = {"DCGM_EXP_PROCESS_FB_USED", kGauge,
                                       "Framebuffer memory used by a process (in MiB).", QD_OF_PROCESS};
constexpr FamilyInfo kProcessSmUtil = {"DCGM_EXP_PROCESS_SM_UTIL", kGauge, "SM utilization by a process (in %).",
                                       QD_OF_PROCESS};

const FamilyInfo& family_of(Figure figure) {
  return kPlain[static_cast<std::size_t>(figure)];
}

std::span<const FamilyInfo> families() {
  static const auto all = [] {
    std::vector<FamilyInfo> made(kPlain.begin(), kPlain.end());
    made.insert(made.end(),
                {kXidErrors, kXidErrorsCount, kClockEventsCount, kP2pStatus, kProcessFbUsed, kProcessSmUtil});
    return made;
  }();
  return all;
}

std::span<const LeftOut> left_out() {
  static constexpr std::string_view kLabel = "no metric: a label of all of them, where observe.gpu.labels has it";
  static constexpr auto kLeftOut = std::to_array<LeftOut>({
      {"DCGM_EXP_GPU_HEALTH_STATUS", "the verdict of DCGM's own watches, which NVML does not have"},
      {"DCGM_FI_DRIVER_VERSION", "no metric: a label of all of them, unless observe.gpu.labels leaves it out"},
      {"DCGM_FI_NVML_VERSION", kLabel},
      {"DCGM_FI_DEV_BRAND", kLabel},
      {"DCGM_FI_DEV_SERIAL", kLabel},
      {"DCGM_FI_DEV_OEM_INFOROM_VER", kLabel},
      {"DCGM_FI_DEV_ECC_INFOROM_VER", kLabel},
      {"DCGM_FI_DEV_POWER_INFOROM_VER", kLabel},
      {"DCGM_FI_DEV_INFOROM_IMAGE_VER", kLabel},
      {"DCGM_FI_DEV_VBIOS_VERSION", kLabel},
  });
  return kLeftOut;
}

std::span<const std::string_view> label_fields() {
  return kLabelFields;
}

std::string_view brand_name(std::uint32_t brand) {
  return brand < kBrands.size() ? kBrands[brand] : kBrands.front();
}

std::string_view clock_event_name(std::size_t bit) {
  return bit < kClockEvents.size() ? kClockEvents[bit] : ""sv;
}

std::string_view p2p_status_name(std::uint32_t status) {
  return status < kP2pStatuses.size() ? kP2pStatuses[status] : kP2pStatuses.back();
}

}  // namespace qd::observe::gpu
