/* A libnvidia-ml.so.1 with two GPUs and no hardware, to drive the real binding.
 *
 * The environment variable FAKE_GPU says at every call how they fare:
 *   healthy, no-driver (does not start), gone (the driver is unloaded), lost (the second GPU fell off the bus), unsupported
 *   (no reading but memory), unified (no memory of its own), failing (every reading is an unknown error), nonsense (readings
 *   out of all bounds), hot, twins (both GPUs with one UUID).
 * Built with -DOLD_DRIVER it lacks the calls that came with later drivers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999 };

#define MIB (1024ULL * 1024)
#define TOTAL_MIB 24576ULL
#define RESERVED_MIB 512ULL
#define USED_MIB 1024ULL

typedef const char *device_t;
static const char *devices[] = {"0", "1"};

static int faring(const char *how) {
    const char *now = getenv("FAKE_GPU");
    return now != NULL && strcmp(now, how) == 0;
}

static int second(device_t device) { return device == devices[1]; }

static int identity_status(device_t device) {
    if (faring("gone")) return UNINITIALIZED;
    return faring("lost") && second(device) ? GPU_IS_LOST : SUCCESS;
}

static int memory_status(device_t device) {
    if (faring("failing")) return UNKNOWN;
    return faring("unified") ? NOT_SUPPORTED : identity_status(device);
}

static int reading_status(device_t device) {
    if (faring("unsupported")) return NOT_SUPPORTED;
    return faring("failing") ? UNKNOWN : identity_status(device);
}

static int answer(int status, unsigned int *into, unsigned int value, unsigned int nonsense) {
    *into = faring("nonsense") ? nonsense : value;
    return status;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return faring("no-driver") ? DRIVER_NOT_LOADED : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *text, unsigned int size) { snprintf(text, size, "575.51.03"); return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return faring("gone") ? UNINITIALIZED : SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device_t *device) {
    *device = devices[index];
    return identity_status(*device);
}

int nvmlDeviceGetUUID(device_t device, char *text, unsigned int size) {
    snprintf(text, size, "GPU-00000000-0000-0000-0000-00000000000%s", faring("twins") ? "0" : device);
    return identity_status(device);
}

int nvmlDeviceGetName(device_t device, char *text, unsigned int size) {
    snprintf(text, size, "NVIDIA A10");
    return identity_status(device);
}

int nvmlDeviceGetCudaComputeCapability(device_t device, int *major, int *minor) {
    *major = 8;
    *minor = 6;
    return identity_status(device);
}

int nvmlDeviceGetNumGpuCores(device_t device, unsigned int *cores) { *cores = 9216; return identity_status(device); }
int nvmlDeviceGetMemoryBusWidth(device_t device, unsigned int *bits) { *bits = 384; return identity_status(device); }
int nvmlDeviceGetMaxClockInfo(device_t device, int type, unsigned int *mhz) {
    (void)type;
    *mhz = 6251;
    return identity_status(device);
}

typedef struct { unsigned long long total, free, used; } memory_v1;

int nvmlDeviceGetMemoryInfo(device_t device, memory_v1 *info) {
    info->total = TOTAL_MIB * MIB;
    info->used = (USED_MIB + RESERVED_MIB) * MIB;
    info->free = info->total - info->used;
    return memory_status(device);
}

int nvmlDeviceGetTemperature(device_t device, int sensor, unsigned int *celsius) {
    (void)sensor;
    return answer(reading_status(device), celsius, 61, 4000000000U);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(device_t device, unsigned long long *reasons) {
    *reasons = faring("hot") ? 0x40 : 0x4; /* hardware thermal slowdown; power cap */
    return reading_status(device);
}

#ifndef OLD_DRIVER
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2;

int nvmlDeviceGetMemoryInfo_v2(device_t device, memory_v2 *info) {
    info->total = TOTAL_MIB * MIB;
    info->reserved = RESERVED_MIB * MIB;
    info->used = faring("nonsense") ? ~0ULL : USED_MIB * MIB;
    info->free = info->total - info->reserved - info->used;
    return memory_status(device);
}

typedef struct { unsigned int version, sensor; int celsius; } temperature_v1;

int nvmlDeviceGetTemperatureV(device_t device, temperature_v1 *temperature) {
    temperature->celsius = faring("nonsense") ? -2000000000 : 61;
    return reading_status(device);
}

int nvmlDeviceGetCurrentClocksEventReasons(device_t device, unsigned long long *reasons) {
    return nvmlDeviceGetCurrentClocksThrottleReasons(device, reasons);
}
#endif

typedef struct { unsigned int gpu, memory; } utilization;

int nvmlDeviceGetUtilizationRates(device_t device, utilization *rates) {
    return answer(reading_status(device), &rates->gpu, 40, 101);
}

int nvmlDeviceGetPowerUsage(device_t device, unsigned int *milliwatts) {
    return answer(reading_status(device), milliwatts, 98500, 4294967295U);
}

int nvmlDeviceGetClockInfo(device_t device, int type, unsigned int *mhz) {
    (void)type;
    return answer(reading_status(device), mhz, 1695, 4294967295U);
}
