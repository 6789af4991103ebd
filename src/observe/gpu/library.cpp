#include "observe/gpu/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <utility>

namespace qd::observe::gpu {
namespace {

using base::ErrorCode;

constexpr const char* kCure =
    "install NVIDIA's driver (in a container, run it with --gpus and NVIDIA_DRIVER_CAPABILITIES=utility), name the "
    "library in observe.gpu.library, or set observe.gpu.enabled: off";

base::Error init_error(const std::string& path, nvml::Return status) {
  const auto say = [&](ErrorCode code, std::string_view cure) {
    return base::Error(code, fmt::format("opening the GPU driver by {}: {}; {}", path, meaning(status), cure));
  };
  switch (status) {
    case nvml::kDriverNotLoaded:
    case nvml::kLibraryNotFound:
      return say(ErrorCode::kNotFound, "load the kernel module (modprobe nvidia), or set observe.gpu.enabled: off");
    case nvml::kNoPermission:
      return say(ErrorCode::kPermission,
                 "let Quarterdeck read and write /dev/nvidiactl and /dev/nvidia* (group video, or --gpus in a "
                 "container)");
    case nvml::kVersionMismatch:
      return say(ErrorCode::kUnavailable, "the driver was updated and its module was not: load it anew, or restart");
    default:
      return say(ErrorCode::kUnavailable, "see what nvidia-smi and dmesg say");
  }
}

}  // namespace

void Library::Binding::bind(void* handle) {
  for (const char* name : names_) {
    symbol_ = ::dlsym(handle, name);
    if (symbol_ == nullptr) continue;
    name_ = name;
    return;
  }
}

base::Result<std::unique_ptr<Library>> Library::open(const std::string& path, Doing& doing) {
  std::unique_ptr<Library> library(new Library(doing));
  QD_TRY(library->load(path));
  const nvml::Return status = library->init();
  if (status != nvml::kSuccess) return base::fail(init_error(path, status));
  library->is_initialized_ = true;
  return library;
}

base::Status Library::load(const std::string& path) {
  doing_.call = "dlopen";
  handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) {
    const char* why = ::dlerror();
    return base::fail(ErrorCode::kNotFound, fmt::format("there is no GPU driver: {}; {}",
                                                        why != nullptr ? why : path + " cannot be loaded", kCure));
  }
  for (Binding* binding : bindings_) binding->bind(handle_);
  for (const Binding* needed : {static_cast<const Binding*>(&init), static_cast<const Binding*>(&device_count),
                                static_cast<const Binding*>(&device_by_index), static_cast<const Binding*>(&uuid)}) {
    if (needed->is_there()) continue;
    return base::fail(ErrorCode::kUnavailable,
                      fmt::format("{} has no {}: it is no NVML, or one older than any driver since 2013; update the "
                                  "driver, or name another library in observe.gpu.library",
                                  path, needed->name()));
  }
  return {};
}

Library::~Library() {
  if (is_initialized_) shutdown();
  if (handle_ != nullptr) ::dlclose(handle_);
}

std::string_view meaning(nvml::Return status) {
  switch (status) {
    case nvml::kSuccess:
      return "success";
    case nvml::kUninitialized:
      return "the library is not open";
    case nvml::kInvalidArgument:
      return "an argument is not valid";
    case nvml::kNotSupported:
      return "not supported by this device";
    case nvml::kNoPermission:
      return "no permission";
    case nvml::kNotFound:
      return "not found";
    case nvml::kInsufficientSize:
      return "too little room for the answer";
    case nvml::kInsufficientPower:
      return "the GPU's power cables are not attached";
    case nvml::kDriverNotLoaded:
      return "the driver is not loaded";
    case nvml::kTimeout:
      return "time-out";
    case nvml::kIrqIssue:
      return "the kernel found an interrupt problem with the GPU";
    case nvml::kLibraryNotFound:
      return "the library is not found";
    case nvml::kFunctionNotFound:
      return "the driver is too old for this function";
    case nvml::kGpuIsLost:
      return "the GPU has fallen off the bus";
    case nvml::kResetRequired:
      return "the GPU has to be reset";
    case nvml::kVersionMismatch:
      return "library and driver are of different versions";
    case nvml::kNoData:
      return "no data";
    case nvml::kArgumentVersionMismatch:
    case nvml::kDeprecated:
      return "the driver does not have this form of the function";
    case nvml::kNotReady:
      return "the driver is not ready";
    default:
      return "an internal error of the driver";
  }
}

bool is_lost(nvml::Return status) {
  return status == nvml::kGpuIsLost || status == nvml::kResetRequired || status == nvml::kIrqIssue ||
         status == nvml::kInsufficientPower;
}

bool is_over(nvml::Return status) {
  return status == nvml::kUninitialized || status == nvml::kDriverNotLoaded || status == nvml::kVersionMismatch;
}

}  // namespace qd::observe::gpu
