// The driver's management library, loaded when it is wanted: NVML's functions by name, and what their errors mean.
//
// A function that the library does not have (it is older than the function) answers kFunctionNotFound. Calls may take
// long or never come back when the driver or a device is broken: `Doing` says which one it is. Not thread-safe here,
// though NVML is.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "observe/gpu/nvml_api.h"

namespace qd::observe::gpu {

// What a thread is at, for whoever waits for it. Texts are literals.
struct Doing {
  std::atomic<const char*> call = "nothing";
  std::atomic<int> device = -1;  // its index; -1 for none
};

class Library {
 public:
  // kNotFound where there is no driver: no such library, or it finds no driver to talk to. kUnavailable and kPermission
  // for a driver that does not work. `doing` outlives the library.
  static base::Result<std::unique_ptr<Library>> open(const std::string& path, Doing& doing);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  Doing& doing() const { return doing_; }

 private:
  class Binding {
   public:
    Binding(Library& library, std::initializer_list<const char*> names) : names_(names), name_(names_.front()) {
      library.bindings_.push_back(this);
    }
    Binding(const Binding&) = delete;
    Binding& operator=(const Binding&) = delete;
    // The first of the names that the library has.
    void bind(void* handle);
    bool is_there() const { return symbol_ != nullptr; }
    // The one that was bound, or else the first.
    const char* name() const { return name_; }

   protected:
    void* symbol_ = nullptr;

   private:
    std::vector<const char*> names_;
    const char* name_;
  };

  template <typename... Arguments>
  class Function : public Binding {
   public:
    Function(Library& library, std::initializer_list<const char*> names)
        : Binding(library, names), doing_(library.doing_) {}
    nvml::Return operator()(std::type_identity_t<Arguments>... arguments) const {
      if (symbol_ == nullptr) return nvml::kFunctionNotFound;
      doing_.call.store(name(), std::memory_order_relaxed);
      return reinterpret_cast<nvml::Return (*)(Arguments...)>(symbol_)(arguments...);
    }

   private:
    Doing& doing_;
  };

  using Device = nvml::Device;
  using U32 = std::uint32_t;
  using U64 = std::uint64_t;

  explicit Library(Doing& doing) : doing_(doing) {}
  base::Status load(const std::string& path);

  Doing& doing_;
  void* handle_ = nullptr;
  bool is_initialized_ = false;
  std::vector<Binding*> bindings_;

 public:
  // Of the library as a whole.
  Function<> init{*this, {"nvmlInit_v2"}};
  Function<> shutdown{*this, {"nvmlShutdown"}};
  Function<char*, U32> driver_version{*this, {"nvmlSystemGetDriverVersion"}};
  Function<char*, U32> nvml_version{*this, {"nvmlSystemGetNVMLVersion"}};
  Function<U32*> device_count{*this, {"nvmlDeviceGetCount_v2"}};
  Function<U32, Device*> device_by_index{*this, {"nvmlDeviceGetHandleByIndex_v2"}};

  // What a device is.
  Function<Device, char*, U32> uuid{*this, {"nvmlDeviceGetUUID"}};
  Function<Device, char*, U32> device_name{*this, {"nvmlDeviceGetName"}};
  Function<Device, nvml::PciInfo*> pci_info{*this, {"nvmlDeviceGetPciInfo_v3"}};
  Function<Device, U32*> brand{*this, {"nvmlDeviceGetBrand"}};
  Function<Device, char*, U32> serial{*this, {"nvmlDeviceGetSerial"}};
  Function<Device, char*, U32> vbios_version{*this, {"nvmlDeviceGetVbiosVersion"}};
  Function<Device, U32, char*, U32> inforom_version{*this, {"nvmlDeviceGetInforomVersion"}};
  Function<Device, char*, U32> inforom_image_version{*this, {"nvmlDeviceGetInforomImageVersion"}};

  // How a device is.
  Function<Device, U32, U32*> clock{*this, {"nvmlDeviceGetClockInfo"}};
  Function<Device, U32, U32*> temperature{*this, {"nvmlDeviceGetTemperature"}};
  Function<Device, U32*> power_usage{*this, {"nvmlDeviceGetPowerUsage"}};
  Function<Device, nvml::Utilization*> utilization{*this, {"nvmlDeviceGetUtilizationRates"}};
  Function<Device, U32*, U32*> encoder_utilization{*this, {"nvmlDeviceGetEncoderUtilization"}};
  Function<Device, U32*, U32*> decoder_utilization{*this, {"nvmlDeviceGetDecoderUtilization"}};
  Function<Device, nvml::Memory*> memory{*this, {"nvmlDeviceGetMemoryInfo"}};
  Function<Device, nvml::MemoryV2*> memory_v2{*this, {"nvmlDeviceGetMemoryInfo_v2"}};
  Function<Device, std::int32_t, nvml::FieldValue*> field_values{*this, {"nvmlDeviceGetFieldValues"}};
  Function<Device, nvml::LicenseFeatures*> license_features{*this, {"nvmlDeviceGetGridLicensableFeatures_v4"}};
  Function<Device, U64*> clock_event_reasons{
      *this, {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"}};
  Function<Device, Device, U32, U32*> p2p_status{*this, {"nvmlDeviceGetP2PStatus"}};

  // Who uses it. Before 535.98 the third version had another layout in some releases.
  Function<Device, U32*, nvml::Process*> compute_processes{
      *this, {"nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetComputeRunningProcesses_v3"}};
  Function<Device, U32*, nvml::Process*> graphics_processes{
      *this, {"nvmlDeviceGetGraphicsRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses_v3"}};
  Function<Device, nvml::ProcessUtilization*, U32*, U64> process_utilization{*this,
                                                                             {"nvmlDeviceGetProcessUtilization"}};

  // Its parts, where it is divided (MIG).
  Function<Device, U32*, U32*> mig_mode{*this, {"nvmlDeviceGetMigMode"}};
  Function<Device, U32*> mig_count_max{*this, {"nvmlDeviceGetMaxMigDeviceCount"}};
  Function<Device, U32, Device*> mig_by_index{*this, {"nvmlDeviceGetMigDeviceHandleByIndex"}};
  Function<Device, U32*> gpu_instance_id{*this, {"nvmlDeviceGetGpuInstanceId"}};

  // What happened to it.
  Function<nvml::EventSet*> event_set_create{*this, {"nvmlEventSetCreate"}};
  Function<nvml::EventSet> event_set_free{*this, {"nvmlEventSetFree"}};
  Function<Device, U64, nvml::EventSet> register_events{*this, {"nvmlDeviceRegisterEvents"}};
  Function<nvml::EventSet, nvml::Event*, U32> event_wait{*this, {"nvmlEventSetWait_v2"}};

  // Its performance counters.
  Function<Device, nvml::GpmSupport*> gpm_support{*this, {"nvmlGpmQueryDeviceSupport"}};
  Function<nvml::GpmSample*> gpm_alloc{*this, {"nvmlGpmSampleAlloc"}};
  Function<nvml::GpmSample> gpm_free{*this, {"nvmlGpmSampleFree"}};
  Function<Device, nvml::GpmSample> gpm_sample{*this, {"nvmlGpmSampleGet"}};
  Function<Device, U32, nvml::GpmSample> gpm_mig_sample{*this, {"nvmlGpmMigSampleGet"}};
  Function<nvml::GpmMetricsGet*> gpm_metrics{*this, {"nvmlGpmMetricsGet"}};
};

// "the GPU has fallen off the bus": what a value of nvmlReturn_t means, for people.
std::string_view meaning(nvml::Return status);
// The device is out of reach until it is reset or the machine starts anew.
bool is_lost(nvml::Return status);
// The library must be opened anew before it can be used.
bool is_over(nvml::Return status);

}  // namespace qd::observe::gpu
