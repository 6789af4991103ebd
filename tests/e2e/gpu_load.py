"""Keeps 512 MiB of GPU 0 and, until its input ends, the GPU busy: by CUDA's driver alone, nothing has to be installed.

Says "ready" once the GPU works. Source of the calls: CUDA Driver API, cuda.h.
"""
import ctypes
import select
import sys

BYTES = 512 << 20
LAUNCHES_AT_ONCE = 64  # some milliseconds of work


def check(status, call):
    if status != 0:
        sys.exit(f"{call}: CUDA error {status}")


cuda = ctypes.CDLL("libcuda.so.1")
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
check(cuda.cuInit(0), "cuInit")
check(cuda.cuDeviceGet(ctypes.byref(device), 0), "cuDeviceGet")
check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), "cuDevicePrimaryCtxRetain")
check(cuda.cuCtxSetCurrent(context), "cuCtxSetCurrent")
check(cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(BYTES)), "cuMemAlloc")
told = False
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(LAUNCHES_AT_ONCE):
        check(cuda.cuMemsetD32Async(memory, 1, ctypes.c_size_t(BYTES // 4), None), "cuMemsetD32Async")
    check(cuda.cuCtxSynchronize(), "cuCtxSynchronize")
    if not told:
        print("ready", flush=True)
        told = True
