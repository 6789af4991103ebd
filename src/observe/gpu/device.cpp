#include "observe/gpu/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "observe/utf8.h"

namespace qd::observe::gpu {
namespace {

using base::ErrorCode;

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr double kBytesPerMib = 1024.0 * 1024.0;

struct FieldFigure {
  nvml::Field field;
  Figure figure;
};
constexpr auto kFieldFigures = std::to_array<FieldFigure>({
    {nvml::kFieldMemoryTemperature, Figure::kMemoryTemperature},
    {nvml::kFieldEnergy, Figure::kEnergy},
    {nvml::kFieldPcieReplay, Figure::kPcieReplay},
    {nvml::kFieldViolationPower, Figure::kPowerViolation},
    {nvml::kFieldViolationThermal, Figure::kThermalViolation},
    {nvml::kFieldViolationSyncBoost, Figure::kSyncBoostViolation},
    {nvml::kFieldViolationBoardLimit, Figure::kBoardLimitViolation},
    {nvml::kFieldViolationLowUtilization, Figure::kLowUtilizationViolation},
    {nvml::kFieldViolationReliability, Figure::kReliabilityViolation},
    {nvml::kFieldEccSbeVolatile, Figure::kEccSbeVolatile},
    {nvml::kFieldEccDbeVolatile, Figure::kEccDbeVolatile},
    {nvml::kFieldEccSbeAggregate, Figure::kEccSbeAggregate},
    {nvml::kFieldEccDbeAggregate, Figure::kEccDbeAggregate},
    {nvml::kFieldRetiredSbe, Figure::kRetiredSbe},
    {nvml::kFieldRetiredDbe, Figure::kRetiredDbe},
    {nvml::kFieldRetiredPending, Figure::kRetiredPending},
    {nvml::kFieldNvlinkCrcFlit, Figure::kNvlinkCrcFlit},
    {nvml::kFieldNvlinkCrcData, Figure::kNvlinkCrcData},
    {nvml::kFieldNvlinkReplay, Figure::kNvlinkReplay},
    {nvml::kFieldNvlinkRecovery, Figure::kNvlinkRecovery},
    {nvml::kFieldRemappedUncorrectable, Figure::kRemappedUncorrectable},
    {nvml::kFieldRemappedCorrectable, Figure::kRemappedCorrectable},
    {nvml::kFieldRemappingFailed, Figure::kRemappingFailed},
});
// Behind those: what goes over all links, and over the first.
enum LinkField : std::size_t { kAllTx, kAllRx, kFirstTx, kFirstRx, kLinkFields };

double number(const nvml::FieldValue& value) {
  switch (value.type) {
    case nvml::kDouble:
      return value.value.as_double;
    case nvml::kU32:
      return value.value.as_u32;
    case nvml::kUnsignedLong:
    case nvml::kU64:
      return static_cast<double>(value.value.as_u64);
    case nvml::kI64:
      return static_cast<double>(value.value.as_i64);
    case nvml::kI32:
      return value.value.as_i32;
    case nvml::kU16:
      return value.value.as_u16;
    default:
      return kNone;
  }
}

// Whole mebibytes, as DCGM tells them.
double mebibytes(std::uint64_t bytes) {
  return std::floor(static_cast<double>(bytes) / kBytesPerMib);
}

// What a GPU or a driver may well lack, and what comes and goes with a process.
bool is_unremarkable(nvml::Return status) {
  return status == nvml::kNotSupported || status == nvml::kFunctionNotFound || status == nvml::kInvalidArgument ||
         status == nvml::kNoPermission || status == nvml::kNotFound || status == nvml::kNoData ||
         status == nvml::kArgumentVersionMismatch || status == nvml::kDeprecated || status == nvml::kNotReady;
}

// Linux numbers no process higher.
constexpr std::uint32_t kPidMax = 1 << 22;

// A list of unknown length: asked for a second time with more room when the first was too little.
template <typename Item, typename Ask>
nvml::Return list(std::vector<Item>& items, std::uint32_t capacity_max, Ask ask) {
  if (items.empty()) items.resize(64);
  for (bool again = false;; again = true) {
    auto count = static_cast<std::uint32_t>(items.size());
    const nvml::Return status = ask(&count, items.data());
    if (status == nvml::kInsufficientSize && !again && items.size() < capacity_max) {
      // Some may have come meanwhile.
      items.assign(std::min(capacity_max, 2 * std::max<std::uint32_t>(count, items.size())), Item());
      continue;
    }
    items.resize(status == nvml::kSuccess ? std::min<std::size_t>(count, items.size()) : 0);
    return status;
  }
}

}  // namespace

void Recent::add(std::int64_t now_ns, std::uint64_t what) {
  if (events_.size() >= kEventsMax) events_.pop_front();
  events_.emplace_back(now_ns, what);
}

Counts Recent::counts(std::int64_t now_ns) {
  while (!events_.empty() && events_.front().first <= now_ns - kWindowMs * kNsPerMs) events_.pop_front();
  Counts counts;
  for (const auto& [at_ns, what] : events_) {
    const auto known = std::ranges::find(counts, what, &Counts::value_type::first);
    if (known == counts.end()) {
      counts.emplace_back(what, 1);
    } else {
      ++known->second;
    }
  }
  return counts;
}

void Device::Rate::take(double kib_now, std::int64_t now_ns) {
  // The driver's counters begin anew with the driver.
  const bool goes_on = at_ns && kib_now >= kib;
  if (goes_on && now_ns - *at_ns < kSpanNsMin) return;
  // DCGM divides by 1000 what is in KiB, and calls it MB.
  mb_per_s = goes_on ? (kib_now - kib) / (static_cast<double>(now_ns - *at_ns) / 1e9) / 1000 : kNone;
  kib = kib_now;
  at_ns = now_ns;
}

std::string instance_profile(std::string_view device_name) {
  constexpr std::string_view kMark = " MIG ";
  const auto mark = device_name.rfind(kMark);
  if (mark == std::string_view::npos) return {};
  std::string_view profile = device_name.substr(mark + kMark.size());
  // A compute instance that is not all of its GPU instance has its own size in front.
  const auto digits = profile.find_first_not_of("0123456789");
  if (digits != std::string_view::npos && digits > 0 && profile.substr(digits).starts_with("c."))
    profile.remove_prefix(digits + 2);
  return std::string(profile);
}

bool Device::took(nvml::Return status) {
  if (status == nvml::kSuccess) return true;
  if (is_lost(status)) {
    if (lost_ == nvml::kSuccess) lost_ = status;
  } else if (!trouble_ && !is_unremarkable(status)) {
    trouble_.emplace(ErrorCode::kUnavailable,
                     fmt::format("GPU {} ({}): {}: {} (NVML error {}); see what nvidia-smi and dmesg say", index_,
                                 uuid_, library_->doing().call.load(), meaning(status), status));
  }
  return false;
}

base::Error Device::unreachable(nvml::Return status) const {
  const std::string who = fmt::format("GPU {}{}", index_, uuid_.empty() ? "" : " (" + uuid_ + ")");
  const std::string what = fmt::format("{} (NVML error {})", meaning(status), status);
  if (status == nvml::kNoPermission) {
    return {ErrorCode::kPermission,
            fmt::format("{} may not be read: {}; let Quarterdeck read and write its file /dev/nvidia*", who, what)};
  }
  return {ErrorCode::kUnavailable, fmt::format("{} cannot be reached: {}; look for \"Xid\" in dmesg, and reset the GPU "
                                               "(nvidia-smi --gpu-reset -i {}) or restart the machine",
                                               who, what, index_)};
}

std::string Device::text_of(nvml::Return status, const char* buffer) const {
  if (status != nvml::kSuccess) return {};
  std::string text(buffer);
  make_utf8(text);
  return text;
}

base::Status Device::meet(const Library& library, nvml::EventSet events, const Options& options) {
  lost_ = nvml::kSuccess;
  trouble_.reset();
  library.doing().device = static_cast<int>(index_);
  const bool is_new = library_ != &library;
  library_ = &library;
  std::array<char, nvml::kTextBytes> buffer{};
  nvml::Device handle = nullptr;
  nvml::Return status = library.device_by_index(index_, &handle);
  if (status == nvml::kSuccess) status = library.uuid(handle, buffer.data(), buffer.size());
  if (status != nvml::kSuccess) {
    // It is met anew when it is back; its handle still says whom an event is about.
    profiling_.forget();
    library_ = nullptr;
    return base::fail(unreachable(status));
  }
  handle_ = handle;
  buffer.back() = '\0';
  std::string uuid = text_of(status, buffer.data());
  if (uuid != uuid_) {
    uuid_ = std::move(uuid);
    last_xid_ = 0;
    xids_ = Recent();
    clock_events_ = Recent();
    peers_.clear();
    all_links_ = link_0_ = Rate();
    utilization_seen_us_ = 0;
    profiling_.forget();
  } else if (!is_new) {
    return {};
  }
  read_labels(options);
  has_xids_ = events != nullptr && library.register_events(handle_, nvml::kEventXid, events) == nvml::kSuccess;
  return {};
}

void Device::read_labels(const Options& options) {
  labels_.clear();
  labels_.emplace_back("gpu", std::to_string(index_));
  labels_.emplace_back("UUID", uuid_);
  nvml::PciInfo pci{};
  if (took(library_->pci_info(handle_, &pci))) {
    pci.bus_id[sizeof(pci.bus_id) - 1] = '\0';
    labels_.emplace_back("pci_bus_id", text_of(nvml::kSuccess, pci.bus_id));
  }
  labels_.emplace_back("device", fmt::format("nvidia{}", index_));
  std::array<char, nvml::kTextBytes> name{};
  const nvml::Return status = library_->device_name(handle_, name.data(), name.size() - 1);
  if (took(status)) labels_.emplace_back("modelName", text_of(status, name.data()));
  const auto fields = label_fields();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (std::ranges::find(options.labels, fields[i]) == options.labels.end()) continue;
    std::string value = label_value(static_cast<LabelField>(i));
    if (!value.empty()) labels_.emplace_back(fields[i], std::move(value));
  }
}

std::string Device::label_value(LabelField field) {
  std::array<char, nvml::kTextBytes> buffer{};
  const auto size = static_cast<std::uint32_t>(buffer.size() - 1);
  const auto inforom = [&](nvml::InforomObject object) {
    return text_of(library_->inforom_version(handle_, object, buffer.data(), size), buffer.data());
  };
  switch (field) {
    case LabelField::kDriverVersion:
      return text_of(library_->driver_version(buffer.data(), size), buffer.data());
    case LabelField::kNvmlVersion:
      return text_of(library_->nvml_version(buffer.data(), size), buffer.data());
    case LabelField::kBrand: {
      std::uint32_t brand = 0;
      return library_->brand(handle_, &brand) == nvml::kSuccess ? std::string(brand_name(brand)) : std::string();
    }
    case LabelField::kSerial:
      return text_of(library_->serial(handle_, buffer.data(), size), buffer.data());
    case LabelField::kOemInforomVersion:
      return inforom(nvml::kInforomOem);
    case LabelField::kEccInforomVersion:
      return inforom(nvml::kInforomEcc);
    case LabelField::kPowerInforomVersion:
      return inforom(nvml::kInforomPower);
    case LabelField::kInforomImageVersion:
      return text_of(library_->inforom_image_version(handle_, buffer.data(), size), buffer.data());
    case LabelField::kVbiosVersion:
      return text_of(library_->vbios_version(handle_, buffer.data(), size), buffer.data());
    case LabelField::kCount:
      break;
  }
  return {};
}

void Device::take_xid(std::int64_t now_ns, std::uint64_t xid) {
  last_xid_ = xid;
  xids_.add(now_ns, xid);
}

void Device::forget_library() {
  profiling_.forget();
  library_ = nullptr;
  handle_ = nullptr;
}

DeviceReading Device::remembered(std::int64_t now_ns, base::Error error) {
  DeviceReading reading;
  reading.index = index_;
  reading.labels = labels_;
  reading.has_xids = has_xids_;
  reading.last_xid = last_xid_;
  if (has_xids_) reading.xids = xids_.counts(now_ns);
  reading.is_lost = error.code() == ErrorCode::kUnavailable;
  reading.error = std::move(error);
  return reading;
}

DeviceReading Device::read(const Library& library, const Options& options, std::int64_t now_ns) {
  library.doing().device = static_cast<int>(index_);
  DeviceReading reading;
  reading.index = index_;
  read_simple(reading.figures);
  if (lost_ == nvml::kSuccess) read_fields(now_ns, reading.figures);
  if (lost_ == nvml::kSuccess) read_license(reading.figures);
  if (lost_ == nvml::kSuccess) read_clock_events(now_ns);
  if (lost_ == nvml::kSuccess) read_instances(options, now_ns, reading);
  if (lost_ == nvml::kSuccess && options.processes_limit > 0) read_processes(options, reading);
  if (lost_ != nvml::kSuccess) return remembered(now_ns, unreachable(lost_));
  reading.labels = labels_;
  reading.peers = peers_;
  reading.has_xids = has_xids_;
  reading.last_xid = last_xid_;
  if (has_xids_) reading.xids = xids_.counts(now_ns);
  reading.has_clock_events = has_clock_events_;
  if (has_clock_events_) reading.clock_events = clock_events_.counts(now_ns);
  reading.error = std::move(trouble_);
  return reading;
}

void Device::read_simple(Figures& figures) {
  std::uint32_t value = 0;
  std::uint32_t period_us = 0;
  nvml::Utilization utilization{};
  if (took(library_->clock(handle_, nvml::kClockSm, &value))) figures[Figure::kSmClock] = value;
  if (took(library_->clock(handle_, nvml::kClockMemory, &value))) figures[Figure::kMemoryClock] = value;
  if (took(library_->temperature(handle_, nvml::kTemperatureGpu, &value))) figures[Figure::kGpuTemperature] = value;
  if (took(library_->power_usage(handle_, &value))) figures[Figure::kPowerUsage] = value / 1000.0;
  if (took(library_->utilization(handle_, &utilization))) {
    figures[Figure::kGpuUtilization] = utilization.gpu;
    figures[Figure::kMemoryCopyUtilization] = utilization.memory;
  }
  if (took(library_->encoder_utilization(handle_, &value, &period_us))) figures[Figure::kEncoderUtilization] = value;
  if (took(library_->decoder_utilization(handle_, &value, &period_us))) figures[Figure::kDecoderUtilization] = value;
}

void Device::read_fields(std::int64_t now_ns, Figures& figures) {
  std::array<nvml::FieldValue, kFieldFigures.size() + kLinkFields> values{};
  for (std::size_t i = 0; i < kFieldFigures.size(); ++i) values[i].field = kFieldFigures[i].field;
  nvml::FieldValue* links = &values[kFieldFigures.size()];
  links[kAllTx].field = links[kFirstTx].field = nvml::kFieldNvlinkDataTx;
  links[kAllRx].field = links[kFirstRx].field = nvml::kFieldNvlinkDataRx;
  links[kAllTx].scope = links[kAllRx].scope = nvml::kAllLinks;
  if (!took(library_->field_values(handle_, static_cast<std::int32_t>(values.size()), values.data()))) return;
  // Of a field that a GPU lacks some drivers say that it is unknown.
  const auto there = [&](const nvml::FieldValue& value) {
    return value.status == nvml::kUnknown ? false : took(value.status);
  };
  for (std::size_t i = 0; i < kFieldFigures.size(); ++i)
    if (there(values[i])) figures[kFieldFigures[i].figure] = number(values[i]);
  const auto rate = [&](const nvml::FieldValue& tx, const nvml::FieldValue& rx, Rate& kept) {
    if (!there(tx) || !there(rx)) return kNone;
    kept.take(number(tx) + number(rx), now_ns);
    return kept.mb_per_s;
  };
  figures[Figure::kNvlinkBandwidth] = rate(links[kAllTx], links[kAllRx], all_links_);
  figures[Figure::kNvlinkBandwidthL0] = rate(links[kFirstTx], links[kFirstRx], link_0_);
}

void Device::read_memory(nvml::Device device, Figures& figures) {
  nvml::MemoryV2 memory{};
  memory.version = nvml::kMemoryV2;
  if (library_->memory_v2(device, &memory) == nvml::kSuccess) {
    figures[Figure::kFramebufferFree] = mebibytes(memory.free);
    figures[Figure::kFramebufferUsed] = mebibytes(memory.used);
    figures[Figure::kFramebufferReserved] = mebibytes(memory.reserved);
    return;
  }
  nvml::Memory older{};
  if (!took(library_->memory(device, &older))) return;
  figures[Figure::kFramebufferFree] = mebibytes(older.free);
  figures[Figure::kFramebufferUsed] = mebibytes(older.used);
}

void Device::read_license(Figures& figures) {
  // The driver may know of more than there was when this was written.
  union {
    nvml::LicenseFeatures features;
    std::array<std::byte, 4096> room;
  } answer{};
  if (!took(library_->license_features(handle_, &answer.features))) return;
  const auto count = std::min<std::size_t>(answer.features.count, std::size(answer.features.features));
  const auto* first = std::begin(answer.features.features);
  const bool licensed = std::any_of(first, first + count, [](const auto& one) { return one.is_licensed != 0; });
  figures[Figure::kVgpuLicense] = licensed ? 1 : 0;
}

void Device::read_clock_events(std::int64_t now_ns) {
  std::uint64_t reasons = 0;
  has_clock_events_ = took(library_->clock_event_reasons(handle_, &reasons));
  if (!has_clock_events_) return;
  for (std::size_t bit = 0; !clock_event_name(bit).empty(); ++bit)
    if ((reasons >> bit & 1) != 0) clock_events_.add(now_ns, bit);
}

void Device::read_instances(const Options& options, std::int64_t now_ns, DeviceReading& reading) {
  const bool profiles = options.profiling && profiling_.begin(*library_, handle_);
  std::uint32_t mode = 0;
  std::uint32_t mode_after_reset = 0;
  reading.is_divided = took(library_->mig_mode(handle_, &mode, &mode_after_reset)) && mode == 1;
  if (!reading.is_divided) {
    read_memory(handle_, reading.figures);
    if (profiles) profiling_.read(handle_, nvml::kNoInstance, now_ns, reading.figures);
  } else {
    std::uint32_t count = 0;
    if (!took(library_->mig_count_max(handle_, &count))) count = 0;
    for (std::uint32_t i = 0; i < count && lost_ == nvml::kSuccess; ++i) {
      nvml::Device part = nullptr;
      std::uint32_t id = 0;
      if (!took(library_->mig_by_index(handle_, i, &part)) || !took(library_->gpu_instance_id(part, &id))) continue;
      // A GPU instance has a device for each of its compute instances, which share its memory.
      if (std::ranges::find(reading.instances, id, &InstanceReading::id) != reading.instances.end()) continue;
      if (reading.instances.size() == kInstancesMax) {
        ++reading.instances_left_out;
        continue;
      }
      InstanceReading& instance = reading.instances.emplace_back();
      instance.id = id;
      std::array<char, nvml::kTextBytes> name{};
      const nvml::Return named = library_->device_name(part, name.data(), name.size() - 1);
      if (took(named)) instance.profile = instance_profile(text_of(named, name.data()));
      read_memory(part, instance.figures);
      if (profiles) profiling_.read(handle_, id, now_ns, instance.figures);
    }
  }
  if (profiles) profiling_.end();
}

void Device::read_processes(const Options& options, DeviceReading& reading) {
  std::vector<ProcessReading>& told = reading.processes;
  std::vector<nvml::Process> found;
  for (const auto* ask : {&library_->compute_processes, &library_->graphics_processes}) {
    found.clear();
    const auto asked = [&](std::uint32_t* count, nvml::Process* items) { return (*ask)(handle_, count, items); };
    if (!took(list(found, kProcessesMax, asked))) continue;
    for (const nvml::Process& one : found) {
      // Drivers have changed the layout before: what is no number of a process is none.
      if (one.pid == 0 || one.pid > kPidMax) continue;
      const double mib = one.used_bytes == nvml::kNotAvailable ? kNone : mebibytes(one.used_bytes);
      const auto same = [&](const auto& p) { return p.pid == one.pid && p.instance == one.gpu_instance; };
      const auto known = std::ranges::find_if(told, same);
      // One that computes and draws stands in both lists, with all of its memory.
      if (known == told.end()) {
        told.push_back({.pid = one.pid, .instance = one.gpu_instance, .fb_mib = mib});
      } else {
        known->fb_mib = std::fmax(known->fb_mib, mib);
      }
    }
  }
  const auto limit = static_cast<std::size_t>(options.processes_limit);
  if (told.size() > limit) {
    reading.processes_left_out = told.size() - limit;
    const auto most_first = [](const ProcessReading& one) { return std::isnan(one.fb_mib) ? 1 : -one.fb_mib; };
    std::ranges::stable_sort(told, {}, most_first);
    told.resize(limit);
  }
  if (!told.empty() && lost_ == nvml::kSuccess) read_process_utilization(told);
}

void Device::read_process_utilization(std::vector<ProcessReading>& processes) {
  std::vector<nvml::ProcessUtilization> samples;
  const auto ask = [&](std::uint32_t* count, nvml::ProcessUtilization* items) {
    return library_->process_utilization(handle_, items, count, utilization_seen_us_);
  };
  const nvml::Return status = list(samples, kUtilizationSamplesMax, ask);
  // It finds none when no process has done anything since it was last asked.
  if (!took(status) && status != nvml::kNotFound) return;
  const std::uint64_t seen_us = utilization_seen_us_;
  for (const auto& sample : samples) utilization_seen_us_ = std::max(utilization_seen_us_, sample.time_us);
  for (ProcessReading& process : processes) {
    double sum = 0;
    std::size_t count = 0;
    for (const auto& sample : samples) {
      if (sample.pid != process.pid || sample.time_us <= seen_us || sample.sm > 100) continue;
      sum += sample.sm;
      ++count;
    }
    process.sm_percent = count == 0 ? 0 : sum / static_cast<double>(count);
  }
}

}  // namespace qd::observe::gpu
