// A library for tests that answers as NVML does, from a script: the file that QD_NVML_SCRIPT names, read anew whenever
// devices are counted (its name once, when the library is opened). Built twice: with all functions that Quarterdeck
// knows, and with those of an old driver.
//
//   gpus 2                           how many there are
//   driver 550.54.15
//   init 9                           what nvmlInit_v2 returns
//   hang nvmlDeviceGetPowerUsage 1   it does not come back while this line stands in the file; of one GPU, or of none
//   0 uuid GPU-1                     of GPU 0, as all that follow: uuid, name, bus, serial, brand
//   0 power 300000                   one number: sm_clock, mem_clock, temp, power, util, mem_util, enc, dec, reasons
//   0 memory 81559 600 40000         total, reserved, used, in MiB
//   0 field 82 65                    a field's value; of NVLink's 138 and 139 with the link or "all" in front
//   0 instance 3 0 1g.10gb 9728 1 12 MIG: GPU instance, compute instance, profile, memory as above
//   0 process compute 4242 1024 3    or graphics: pid, MiB, and where it is divided the GPU instance
//   0 sample 4242 1000000 55         of its use of SMs: pid, microseconds, percent
//   0 xid 79                         an event, given once
//   0 peer 1 0                       NVLink to GPU 1: an nvmlGpuP2PStatus_t
//   0 gpm 2 55.5                     a performance counter; "gpm.3" for GPU instance 3
//   0 fails nvmlDeviceGetSerial 999  what a function returns; * for all
//   0 lost                           it falls off the bus, until the library is opened anew without this line
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "observe/gpu/nvml_api.h"

namespace qd::observe::gpu::nvml {

struct DeviceHandle {
  std::uint32_t gpu = 0;
  int part = -1;
};
struct EventSetHandle {};
struct GpmSampleHandle {
  std::string key;
};

}  // namespace qd::observe::gpu::nvml

namespace {

using namespace qd::observe::gpu;
using nvml::Device;
using nvml::Return;
using U32 = std::uint32_t;
using U64 = std::uint64_t;
using Line = std::vector<std::string>;

constexpr std::uint64_t kMib = 1024 * 1024;
constexpr int kGpusMax = 80;
constexpr int kPartsMax = 32;

qd::base::Mutex mutex;
std::string script_path QD_GUARDED_BY(mutex);  // of the last nvmlInit_v2: a call that hangs looks at no environment
std::string script QD_GUARDED_BY(mutex);
bool lost[kGpusMax] QD_GUARDED_BY(mutex);
std::vector<Line> lines QD_GUARDED_BY(mutex);
std::deque<std::pair<U32, U64>> events QD_GUARDED_BY(mutex);
nvml::DeviceHandle gpus[kGpusMax];
nvml::DeviceHandle parts[kGpusMax][kPartsMax];
[[maybe_unused]] nvml::EventSetHandle the_events;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

U64 number(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 0);
}

std::vector<Line> find(const Line& words) QD_REQUIRES(mutex) {
  std::vector<Line> found;
  for (const Line& line : lines) {
    if (line.size() < words.size() || !std::equal(words.begin(), words.end(), line.begin())) continue;
    found.emplace_back(line.begin() + static_cast<std::ptrdiff_t>(words.size()), line.end());
  }
  return found;
}

// What stands behind these words in the lines that begin with them.
std::vector<Line> all(const Line& words) {
  const qd::base::MutexLock lock(mutex);
  return find(words);
}

void load() {
  const qd::base::MutexLock lock(mutex);
  std::string text = read_file(script_path);
  if (text == script && !lines.empty()) return;
  script = std::move(text);
  lines.clear();
  std::istringstream in(script);
  for (std::string one; std::getline(in, one);) {
    std::istringstream words(one);
    Line line;
    for (std::string word; words >> word;) line.push_back(word);
    if (!line.empty()) lines.push_back(line);
  }
  for (U32 i = 0; i < kGpusMax; ++i) {
    gpus[i] = {i, -1};
    for (int k = 0; k < kPartsMax; ++k) parts[i][k] = {i, k};
    if (!find({std::to_string(i), "lost"}).empty()) lost[i] = true;
    for (const Line& xid : find({std::to_string(i), "xid"})) events.emplace_back(i, number(xid[0]));
  }
}

// Uses nothing of this library while it hangs: the program may be at its end.
void maybe_hang(const std::string& call) {
  std::string path;
  {
    const qd::base::MutexLock lock(mutex);
    path = script_path;
  }
  while (read_file(path).find("hang " + call + "\n") != std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

std::string id(Device device) {
  return std::to_string(device->gpu);
}

// What a call about a device returns before it is looked at.
Return trap(const char* function, Device device) {
  maybe_hang(std::string(function) + " " + id(device));
  {
    const qd::base::MutexLock lock(mutex);
    if (lost[device->gpu]) return nvml::kGpuIsLost;
  }
  for (const char* name : {function, "*"})
    for (const Line& line : all({id(device), "fails", name})) return static_cast<Return>(number(line[0]));
  return nvml::kSuccess;
}

Return give(const std::string& text, char* buffer, U32 size) {
  if (text.size() >= size) return nvml::kInsufficientSize;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return nvml::kSuccess;
}

Return give_text(const char* function, Device device, const char* key, char* buffer, U32 size) {
  if (const Return status = trap(function, device)) return status;
  const auto found = all({id(device), key});
  if (found.empty()) return nvml::kNotSupported;
  std::string text;
  for (const std::string& word : found.front()) text += (text.empty() ? "" : " ") + word;
  return give(text, buffer, size);
}

Return give_number(const char* function, Device device, const char* key, U32* value) {
  if (const Return status = trap(function, device)) return status;
  const auto found = all({id(device), key});
  if (found.empty()) return nvml::kNotSupported;
  *value = static_cast<U32>(number(found.front()[0]));
  return nvml::kSuccess;
}

std::vector<Line> instances(Device device) {
  return all({id(device), "instance"});
}

// Total, reserved and used bytes.
Return memory_of(const char* function, Device device, U64 (&bytes)[3]) {
  if (const Return status = trap(function, device)) return status;
  auto found = all({id(device), "memory"});
  if (device->part >= 0) {
    const Line line = instances(device)[static_cast<std::size_t>(device->part)];
    found = {Line(line.begin() + 3, line.end())};
  }
  if (found.empty()) return nvml::kNotSupported;
  for (std::size_t i = 0; i < 3; ++i) bytes[i] = number(found.front()[i]) * kMib;
  return nvml::kSuccess;
}

[[maybe_unused]] Return processes(const char* function, const char* kind, Device device, U32* count,
                                  nvml::Process* out) {
  if (const Return status = trap(function, device)) return status;
  const auto found = all({id(device), "process", kind});
  const U32 room = *count;
  *count = static_cast<U32>(found.size());
  if (found.size() > room) return nvml::kInsufficientSize;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Line& line = found[i];
    out[i] = {static_cast<U32>(number(line[0])), line[1] == "-" ? nvml::kNotAvailable : number(line[1]) * kMib,
              line.size() > 2 ? static_cast<U32>(number(line[2])) : nvml::kNoInstance, nvml::kNoInstance};
  }
  return nvml::kSuccess;
}

[[maybe_unused]] void answer_field(Device device, nvml::FieldValue& value) {
  Line words = {id(device), "field", std::to_string(value.field)};
  if (value.field == nvml::kFieldNvlinkDataTx || value.field == nvml::kFieldNvlinkDataRx)
    words.push_back(value.scope == nvml::kAllLinks ? "all" : std::to_string(value.scope));
  const auto found = all(words);
  value.status = found.empty() ? nvml::kNotSupported : nvml::kSuccess;
  if (found.empty()) return;
  value.type = nvml::kU64;
  value.value.as_u64 = number(found.front()[0]);
}

}  // namespace

extern "C" {

Return nvmlShutdown() {
  return nvml::kSuccess;
}

Return nvmlInit_v2() {
  {
    const char* name = std::getenv("QD_NVML_SCRIPT");
    const qd::base::MutexLock lock(mutex);
    script_path = name == nullptr ? "" : name;
    std::fill(std::begin(lost), std::end(lost), false);
  }
  load();
  maybe_hang("nvmlInit_v2");
  const auto found = all({"init"});
  return found.empty() ? nvml::kSuccess : static_cast<Return>(number(found.front()[0]));
}

Return nvmlSystemGetDriverVersion(char* buffer, U32 size) {
  const auto found = all({"driver"});
  return found.empty() ? nvml::kUnknown : give(found.front()[0], buffer, size);
}

Return nvmlSystemGetNVMLVersion(char* buffer, U32 size) {
  return give("12.550.54.15", buffer, size);
}

Return nvmlDeviceGetCount_v2(U32* count) {
  load();
  maybe_hang("nvmlDeviceGetCount_v2");
  for (const Line& line : all({"count", "fails"})) return static_cast<Return>(number(line[0]));
  const auto found = all({"gpus"});
  *count = found.empty() ? 0 : static_cast<U32>(number(found.front()[0]));
  return nvml::kSuccess;
}

Return nvmlDeviceGetHandleByIndex_v2(U32 index, Device* device) {
  if (index >= kGpusMax) return nvml::kInvalidArgument;
  if (const Return status = trap("nvmlDeviceGetHandleByIndex_v2", &gpus[index])) return status;
  *device = &gpus[index];
  return nvml::kSuccess;
}

Return nvmlDeviceGetUUID(Device device, char* buffer, U32 size) {
  return give_text("nvmlDeviceGetUUID", device, "uuid", buffer, size);
}

Return nvmlDeviceGetName(Device device, char* buffer, U32 size) {
  if (device->part < 0) return give_text("nvmlDeviceGetName", device, "name", buffer, size);
  return give("NVIDIA H100 MIG " + instances(device)[static_cast<std::size_t>(device->part)][2], buffer, size);
}

Return nvmlDeviceGetPciInfo_v3(Device device, nvml::PciInfo* info) {
  return give_text("nvmlDeviceGetPciInfo_v3", device, "bus", info->bus_id, sizeof(info->bus_id));
}

Return nvmlDeviceGetBrand(Device device, U32* brand) {
  return give_number("nvmlDeviceGetBrand", device, "brand", brand);
}

Return nvmlDeviceGetSerial(Device device, char* buffer, U32 size) {
  return give_text("nvmlDeviceGetSerial", device, "serial", buffer, size);
}

Return nvmlDeviceGetClockInfo(Device device, U32 type, U32* mhz) {
  return give_number("nvmlDeviceGetClockInfo", device, type == nvml::kClockSm ? "sm_clock" : "mem_clock", mhz);
}

Return nvmlDeviceGetTemperature(Device device, U32, U32* celsius) {
  return give_number("nvmlDeviceGetTemperature", device, "temp", celsius);
}

Return nvmlDeviceGetPowerUsage(Device device, U32* milliwatts) {
  return give_number("nvmlDeviceGetPowerUsage", device, "power", milliwatts);
}

Return nvmlDeviceGetUtilizationRates(Device device, nvml::Utilization* rates) {
  if (const Return status = give_number("nvmlDeviceGetUtilizationRates", device, "util", &rates->gpu)) return status;
  return give_number("nvmlDeviceGetUtilizationRates", device, "mem_util", &rates->memory);
}

Return nvmlDeviceGetEncoderUtilization(Device device, U32* percent, U32*) {
  return give_number("nvmlDeviceGetEncoderUtilization", device, "enc", percent);
}

Return nvmlDeviceGetDecoderUtilization(Device device, U32* percent, U32*) {
  return give_number("nvmlDeviceGetDecoderUtilization", device, "dec", percent);
}

Return nvmlDeviceGetMemoryInfo(Device device, nvml::Memory* memory) {
  U64 bytes[3];
  if (const Return status = memory_of("nvmlDeviceGetMemoryInfo", device, bytes)) return status;
  *memory = {bytes[0], bytes[0] - bytes[1] - bytes[2], bytes[1] + bytes[2]};
  return nvml::kSuccess;
}

Return nvmlDeviceGetCurrentClocksThrottleReasons(Device device, U64* reasons) {
  U32 low = 0;
  const Return status = give_number("nvmlDeviceGetCurrentClocksThrottleReasons", device, "reasons", &low);
  *reasons = low;
  return status;
}

#ifdef QD_NVML_NEW

Return nvmlDeviceGetMemoryInfo_v2(Device device, nvml::MemoryV2* memory) {
  if (memory->version != nvml::kMemoryV2) return nvml::kInvalidArgument;
  U64 bytes[3];
  if (const Return status = memory_of("nvmlDeviceGetMemoryInfo_v2", device, bytes)) return status;
  *memory = {memory->version, bytes[0], bytes[1], bytes[0] - bytes[1] - bytes[2], bytes[2]};
  return nvml::kSuccess;
}

Return nvmlDeviceGetFieldValues(Device device, std::int32_t count, nvml::FieldValue* values) {
  if (const Return status = trap("nvmlDeviceGetFieldValues", device)) return status;
  for (std::int32_t i = 0; i < count; ++i) answer_field(device, values[i]);
  return nvml::kSuccess;
}

Return nvmlDeviceGetGridLicensableFeatures_v4(Device device, nvml::LicenseFeatures* features) {
  if (const Return status = trap("nvmlDeviceGetGridLicensableFeatures_v4", device)) return status;
  *features = {};
  const auto found = all({id(device), "licensed"});
  features->count = 2;
  features->features[1].is_licensed = found.empty() ? 0 : 1;
  return nvml::kSuccess;
}

Return nvmlDeviceGetP2PStatus(Device one, Device other, U32 capability, U32* status) {
  if (capability != nvml::kP2pNvlink) return nvml::kInvalidArgument;
  if (const Return trapped = trap("nvmlDeviceGetP2PStatus", one)) return trapped;
  const auto found = all({id(one), "peer", id(other)});
  *status = found.empty() ? nvml::kP2pNotSupported : static_cast<U32>(number(found.front()[0]));
  return nvml::kSuccess;
}

Return nvmlDeviceGetComputeRunningProcesses_v2(Device device, U32* count, nvml::Process* out) {
  return processes("nvmlDeviceGetComputeRunningProcesses_v2", "compute", device, count, out);
}

Return nvmlDeviceGetGraphicsRunningProcesses_v2(Device device, U32* count, nvml::Process* out) {
  return processes("nvmlDeviceGetGraphicsRunningProcesses_v2", "graphics", device, count, out);
}

Return nvmlDeviceGetProcessUtilization(Device device, nvml::ProcessUtilization* out, U32* count, U64 since_us) {
  if (const Return status = trap("nvmlDeviceGetProcessUtilization", device)) return status;
  if (!instances(device).empty()) return nvml::kNotSupported;
  // As some drivers do, it gives what was seen before beside what is new.
  std::vector<nvml::ProcessUtilization> found;
  bool is_news = false;
  for (const Line& line : all({id(device), "sample"})) {
    is_news = is_news || number(line[1]) > since_us;
    found.push_back({static_cast<U32>(number(line[0])), number(line[1]), static_cast<U32>(number(line[2])), 0, 0, 0});
  }
  if (!is_news) found.clear();
  const U32 room = *count;
  *count = static_cast<U32>(found.size());
  if (found.empty()) return nvml::kNotFound;
  if (found.size() > room) return nvml::kInsufficientSize;
  std::copy(found.begin(), found.end(), out);
  return nvml::kSuccess;
}

Return nvmlDeviceGetMigMode(Device device, U32* now, U32* later) {
  if (const Return status = trap("nvmlDeviceGetMigMode", device)) return status;
  *now = *later = instances(device).empty() ? 0 : 1;
  return nvml::kSuccess;
}

Return nvmlDeviceGetMaxMigDeviceCount(Device device, U32* count) {
  *count = static_cast<U32>(instances(device).size()) + 1;
  return nvml::kSuccess;
}

Return nvmlDeviceGetMigDeviceHandleByIndex(Device device, U32 index, Device* part) {
  if (index >= instances(device).size()) return nvml::kNotFound;
  *part = &parts[device->gpu][index];
  return nvml::kSuccess;
}

Return nvmlDeviceGetGpuInstanceId(Device device, U32* number_of) {
  *number_of = static_cast<U32>(number(instances(device)[static_cast<std::size_t>(device->part)][0]));
  return nvml::kSuccess;
}

Return nvmlEventSetCreate(nvml::EventSet* set) {
  *set = &the_events;
  return nvml::kSuccess;
}

Return nvmlEventSetFree(nvml::EventSet) {
  return nvml::kSuccess;
}

Return nvmlDeviceRegisterEvents(Device device, U64, nvml::EventSet) {
  return trap("nvmlDeviceRegisterEvents", device);
}

Return nvmlEventSetWait_v2(nvml::EventSet, nvml::Event* event, U32) {
  const qd::base::MutexLock lock(mutex);
  if (events.empty()) return nvml::kTimeout;
  *event = {&gpus[events.front().first], nvml::kEventXid, events.front().second, nvml::kNoInstance, nvml::kNoInstance};
  events.pop_front();
  return nvml::kSuccess;
}

Return nvmlGpmQueryDeviceSupport(Device device, nvml::GpmSupport* support) {
  if (support->version != nvml::kGpmSupportVersion) return nvml::kInvalidArgument;
  support->is_supported = all({id(device), "gpm"}).empty() && instances(device).empty() ? 0 : 1;
  return nvml::kSuccess;
}

Return nvmlGpmSampleAlloc(nvml::GpmSample* sample) {
  *sample = new nvml::GpmSampleHandle;
  return nvml::kSuccess;
}

Return nvmlGpmSampleFree(nvml::GpmSample sample) {
  delete sample;
  return nvml::kSuccess;
}

Return nvmlGpmSampleGet(Device device, nvml::GpmSample sample) {
  if (const Return status = trap("nvmlGpmSampleGet", device)) return status;
  sample->key = id(device) + " gpm";
  return nvml::kSuccess;
}

Return nvmlGpmMigSampleGet(Device device, U32 instance, nvml::GpmSample sample) {
  if (const Return status = trap("nvmlGpmMigSampleGet", device)) return status;
  sample->key = id(device) + " gpm." + std::to_string(instance);
  return nvml::kSuccess;
}

Return nvmlGpmMetricsGet(nvml::GpmMetricsGet* request) {
  if (request->version != nvml::kGpmMetricsGetVersion || request->before->key != request->after->key)
    return nvml::kInvalidArgument;
  const std::string& key = request->after->key;
  const auto space = key.find(' ');
  for (U32 i = 0; i < request->count; ++i) {
    nvml::GpmMetric& metric = request->metrics[i];
    const auto found = all({key.substr(0, space), key.substr(space + 1), std::to_string(metric.id)});
    metric.status = found.empty() ? nvml::kNotSupported : nvml::kSuccess;
    if (!found.empty()) metric.value = std::strtod(found.front()[0].c_str(), nullptr);
  }
  return nvml::kSuccess;
}

#endif

}  // extern "C"
