/* A libnvidia-ml.so.1 with two GPUs and no hardware, to drive the real binding. See faring.h.
 *
 * Words of FAKE_GPU:
 *   no-driver (does not start), gone (the driver is unloaded: until it is started anew), lost (the second GPU falls off the
 *   bus: until the library is started anew), failing (every reading is an unknown error), unsupported (no reading but
 *   memory), nonsense (readings out of all bounds), unified (no memory of its own, utilization always 0), busy (with it:
 *   not 0), hot, braked (by the power brake), twins (both GPUs with one UUID), swapped (another second GPU),
 *   mig (the first GPU is split into two instances), mig-empty (into none),
 *   nvlink (four links between the two), nvswitch (four links of each to a switch), far (on two sockets), no-speed (the
 *   driver does not say how fast a link is).
 * FAKE_EVENTS: GPU:TYPE:DATA[:INSTANCE], such as 1:8:79 for XID 79 of the second GPU.
 * Built with -DOLD_DRIVER it lacks the calls that came with later drivers.
 */
#include "faring.h"

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, TIMEOUT = 10, GPU_IS_LOST = 15, UNKNOWN = 999
};

#define MIB (1024ULL * 1024)
#define TOTAL_MIB 24576ULL
#define RESERVED_MIB 512ULL
#define USED_MIB 1024ULL
#define WHOLE_CARD 0xFFFFFFFFU

struct device { int card, instance; };
typedef const struct device *device_t;
static const struct device cards[] = {{0, 0}, {1, 0}}, instances[] = {{0, 1}, {0, 2}};

static int started, lost;

static int second(device_t device) { return device->card == 1; }
static int is_instance(device_t device) { return device->instance != 0; }

static int driver_status(void) {
    if (faring("gone")) started = 0;
    return started ? SUCCESS : UNINITIALIZED;
}

static int identity_status(device_t device) {
    if (faring("lost")) lost = 1;
    if (driver_status() != SUCCESS) return UNINITIALIZED;
    return lost && second(device) ? GPU_IS_LOST : SUCCESS;
}

static int memory_status(device_t device) {
    if (faring("failing")) return UNKNOWN;
    return faring("unified") ? NOT_SUPPORTED : identity_status(device);
}

/* Of what only a card has, an instance cannot be asked. */
static int reading_status(device_t device) {
    if (is_instance(device)) return INVALID_ARGUMENT;
    if (faring("unsupported")) return NOT_SUPPORTED;
    return faring("failing") ? UNKNOWN : identity_status(device);
}

static int answer(int status, unsigned int *into, unsigned int value, unsigned int nonsense) {
    *into = (unsigned int)reading(value, nonsense);
    return status;
}

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    called(__func__);
    for_ever_if("wedged-start");
    if (faring("no-driver") || faring("gone")) return DRIVER_NOT_LOADED;
    started = 1;
    lost = 0;
    return SUCCESS;
}

int nvmlShutdown(void) { called(__func__); return SUCCESS; }

int nvmlSystemGetDriverVersion(char *text, unsigned int size) { snprintf(text, size, "575.51.03"); return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return driver_status(); }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device_t *device) {
    *device = &cards[index];
    return identity_status(*device);
}

int nvmlDeviceGetUUID(device_t device, char *text, unsigned int size) {
    int card = faring("twins") ? 0 : device->card, other = second(device) && faring("swapped") ? 9 : 0;
    const char *kind = is_instance(device) ? "MIG" : "GPU";
    snprintf(text, size, "%s-00000000-0000-0000-0000-000000000%d%d%d", kind, other, device->instance, card);
    return identity_status(device);
}

int nvmlDeviceGetName(device_t device, char *text, unsigned int size) {
    snprintf(text, size, is_instance(device) ? "NVIDIA A10 MIG 1g.6gb" : "NVIDIA A10");
    return identity_status(device);
}

typedef struct {
    char legacy_bus_id[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} pci_info;

int nvmlDeviceGetPciInfo_v3(device_t device, pci_info *info) {
    memset(info, 0, sizeof *info);
    info->bus = 0x65 + device->card;
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

/* Instances of MIG: there is room for seven, and a gap between the two. */

int nvmlDeviceGetMigMode(device_t device, unsigned int *current, unsigned int *pending) {
    *current = *pending = device->card == 0;
    return faring("mig") || faring("mig-empty") ? identity_status(device) : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxMigDeviceCount(device_t device, unsigned int *count) { *count = 7; return identity_status(device); }

int nvmlDeviceGetMigDeviceHandleByIndex(device_t device, unsigned int index, device_t *instance) {
    if (faring("mig-empty") || (index != 0 && index != 2)) return NOT_FOUND;
    *instance = &instances[index / 2];
    return identity_status(device);
}

int nvmlDeviceGetGpuInstanceId(device_t device, unsigned int *id) { *id = device->instance; return SUCCESS; }

typedef struct {
    unsigned int multiprocessors, shared[5], gpu_slices, compute_slices;
    unsigned long long memory_mib;
} attributes;

int nvmlDeviceGetAttributes_v2(device_t device, attributes *told) {
    memset(told, 0, sizeof *told);
    told->multiprocessors = 14;
    return is_instance(device) ? identity_status(device) : NOT_SUPPORTED;
}

/* Readings. */

typedef struct { unsigned long long total, free, used; } memory_v1;

int nvmlDeviceGetMemoryInfo(device_t device, memory_v1 *info) {
    info->total = TOTAL_MIB * MIB;
    info->used = reading((USED_MIB + RESERVED_MIB) * MIB, ~0ULL);
    info->free = info->total - info->used;
    return memory_status(device);
}

int nvmlDeviceGetTemperature(device_t device, int sensor, unsigned int *celsius) {
    (void)sensor;
    return answer(reading_status(device), celsius, 61, 4000000000U);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(device_t device, unsigned long long *reasons) {
    unsigned long long power_cap = 0x4, hot = 0x8 | 0x40, braked = 0x8 | 0x80, newest = 1ULL << 40;
    *reasons = reading(faring("hot") ? hot : faring("braked") ? braked : power_cap, newest);
    return reading_status(device);
}

#ifndef OLD_DRIVER
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2;

int nvmlDeviceGetMemoryInfo_v2(device_t device, memory_v2 *info) {
    called(__func__);
    info->total = (is_instance(device) ? TOTAL_MIB / 4 : TOTAL_MIB) * MIB;
    info->reserved = RESERVED_MIB * MIB;
    info->used = reading(USED_MIB * MIB, ~0ULL);
    info->free = info->total - info->reserved - info->used;
    return memory_status(device);
}

typedef struct { unsigned int version, sensor; int celsius; } temperature_v1;

int nvmlDeviceGetTemperatureV(device_t device, temperature_v1 *temperature) {
    called(__func__);
    temperature->celsius = (int)reading(61, (uint64_t)-2000000000);
    return reading_status(device);
}

int nvmlDeviceGetCurrentClocksEventReasons(device_t device, unsigned long long *reasons) {
    return nvmlDeviceGetCurrentClocksThrottleReasons(device, reasons);
}
#endif

typedef struct { unsigned int gpu, memory; } utilization;

int nvmlDeviceGetUtilizationRates(device_t device, utilization *rates) {
    called(__func__);
    for_ever_if("wedged");
    int false_zero = faring("unified") && !faring("busy");
    return answer(reading_status(device), &rates->gpu, false_zero ? 0 : 40, 101);
}

int nvmlDeviceGetPowerUsage(device_t device, unsigned int *milliwatts) {
    called(__func__);
    return answer(reading_status(device), milliwatts, 98500, 4294967295U);
}

int nvmlDeviceGetEnforcedPowerLimit(device_t device, unsigned int *milliwatts) {
    return answer(reading_status(device), milliwatts, 150000, 4294967295U);
}

int nvmlDeviceGetClockInfo(device_t device, int type, unsigned int *mhz) {
    return answer(reading_status(device), mhz, type == 2 ? 6251 : 1695, 4294967295U);
}

int nvmlDeviceGetPcieThroughput(device_t device, unsigned int counter, unsigned int *kilobytes) {
    called(__func__);
    return answer(reading_status(device), kilobytes, counter == 0 ? 2000 : 5000, 4294967295U);
}

/* Health. */

int nvmlDeviceGetTotalEccErrors(device_t device, unsigned int kind, unsigned int counter, unsigned long long *count) {
    unsigned long long volatile_count = kind == 0 ? 12 : 1;
    *count = reading(counter == 0 ? volatile_count : 1000, ~0ULL);
    return reading_status(device);
}

typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } process;

static int processes(int status, unsigned int *count, process *into, unsigned int first_pid) {
    called(__func__);
    if (status != SUCCESS) return status;
    unsigned int room = *count;
    *count = 2;
    if (room < 2) return INSUFFICIENT_SIZE;
    memset(into, 0, 2 * sizeof *into);
    for (unsigned int each = 0; each < 2; each++) into[each].pid = first_pid + each;
    into[0].used = reading(100 * MIB, 1ULL << 60);
    into[1].used = ~0ULL; /* not told */
    return SUCCESS;
}

static int process_status(device_t device) {
    return faring("unsupported") ? NOT_SUPPORTED : identity_status(device);
}

int nvmlDeviceGetComputeRunningProcesses_v2(device_t device, unsigned int *count, process *into) {
    return processes(process_status(device), count, into, 4242);
}

int nvmlDeviceGetGraphicsRunningProcesses_v2(device_t device, unsigned int *count, process *into) {
    return processes(reading_status(device), count, into, 4241);
}

#ifndef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v3(device_t device, unsigned int *count, process *into) {
    return processes(process_status(device), count, into, 4242);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device_t device, unsigned int *count, process *into) {
    return processes(reading_status(device), count, into, 4241);
}
#endif

int nvmlSystemGetProcessName(unsigned int pid, char *text, unsigned int size) {
    if (pid == 4243) return NOT_FOUND;
    snprintf(text, size, pid == 4242 ? "/usr/bin/python3 train.py --token secret" : "\xff\xfe");
    return SUCCESS;
}

/* Links. */

int nvmlDeviceGetNvLinkState(device_t device, unsigned int link, unsigned int *active) {
    *active = link != 2; /* one of them is down */
    if (!faring("nvlink") && !faring("nvswitch")) return NOT_SUPPORTED;
    return link < 5 ? identity_status(device) : INVALID_ARGUMENT;
}

int nvmlDeviceGetNvLinkRemoteDeviceType(device_t device, unsigned int link, unsigned int *type) {
    (void)link;
    *type = faring("nvswitch") ? 2 : 0;
    return identity_status(device);
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(device_t device, unsigned int link, pci_info *info) {
    (void)link;
    return nvmlDeviceGetPciInfo_v3(&cards[1 - device->card], info);
}

int nvmlDeviceGetNvLinkVersion(device_t device, unsigned int link, unsigned int *version) {
    (void)link;
    *version = 6; /* 4.0 */
    return identity_status(device);
}

typedef struct {
    unsigned int field, scope;
    long long timestamp, latency;
    unsigned int value_type, status;
    unsigned long long value;
} field_value;

int nvmlDeviceGetFieldValues(device_t device, int count, field_value *values) {
    for (int each = 0; each < count; each++) {
        values[each].status = faring("no-speed") || values[each].field != 164 ? NOT_SUPPORTED : SUCCESS;
        values[each].value_type = 1;
        values[each].value = reading(26562, 0);
    }
    return identity_status(device);
}

int nvmlDeviceGetTopologyCommonAncestor(device_t first, device_t other, unsigned int *level) {
    (void)other;
    *level = faring("far") ? 50 : 30;
    return identity_status(first);
}

int nvmlDeviceGetP2PStatus(device_t first, device_t other, unsigned int how, unsigned int *status) {
    (void)other;
    int over_nvlink = faring("nvlink") || faring("nvswitch");
    *status = how == 2 && !over_nvlink ? 5 : faring("far") ? 3 : 0;
    return identity_status(first);
}

int nvmlDeviceGetMaxPcieLinkGeneration(device_t device, unsigned int *generation) {
    *generation = second(device) ? 3 : 4;
    return identity_status(device);
}

int nvmlDeviceGetMaxPcieLinkWidth(device_t device, unsigned int *lanes) { *lanes = 16; return identity_status(device); }

/* Events. */

static unsigned long long heard[2];

int nvmlDeviceGetSupportedEventTypes(device_t device, unsigned long long *types) {
    *types = 0xF;
    return faring("unsupported") ? NOT_SUPPORTED : identity_status(device);
}

int nvmlEventSetCreate(void **set) { *set = heard; memset(heard, 0, sizeof heard); return driver_status(); }
int nvmlEventSetFree(void *set) { (void)set; memset(heard, 0, sizeof heard); return driver_status(); }

int nvmlDeviceRegisterEvents(device_t device, unsigned long long types, void *set) {
    (void)set;
    if (is_instance(device)) return INVALID_ARGUMENT;
    heard[device->card] |= types;
    return identity_status(device);
}

typedef struct {
    device_t device;
    unsigned long long type, data;
    unsigned int gpu_instance, compute_instance;
} event_data;

int nvmlEventSetWait_v2(void *set, event_data *data, unsigned int timeout_ms) {
    (void)set;
    (void)timeout_ms;
    if (driver_status() != SUCCESS) return UNINITIALIZED;
    for (const char *event = next_event(); event != NULL; event = next_event()) {
        unsigned int card = 0, instance = WHOLE_CARD;
        sscanf(event, "%u:%llu:%llu:%u", &card, &data->type, &data->data, &instance);
        if ((heard[card] & data->type) == 0) continue;
        data->device = &cards[card];
        data->gpu_instance = data->compute_instance = instance;
        return SUCCESS;
    }
    return TIMEOUT;
}
