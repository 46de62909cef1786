/* A libamd_smi.so with two GPUs and no hardware, to drive the real binding.
 *
 * The binding asks for every symbol of the library when it is imported. Those that are not here come from a second file, made
 * of the binding's own text, in which each answers that it is not supported.
 *
 * The environment variable FAKE_GPU says at every call how the GPUs fare:
 *   healthy, no-driver (does not start), gone (the driver is unloaded), lost (the second GPU fell off the bus), unsupported
 *   (no reading but memory), not-read (readings that the library marks as not read), nonsense (readings out of all bounds),
 *   no-serial (cards without a serial number).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 2, NOT_FOUND = 31, NOT_INIT = 32, DRIVER_NOT_LOADED = 34 };
enum { EDGE = 0 };

typedef const char *device_t;
static const char *devices[] = {"0", "1"};

static int faring(const char *how) {
    const char *now = getenv("FAKE_GPU");
    return now != NULL && strcmp(now, how) == 0;
}

static int identity_status(device_t device) {
    if (faring("gone")) return NOT_INIT;
    return faring("lost") && device == devices[1] ? NOT_FOUND : SUCCESS;
}

static int reading_status(device_t device) { return faring("unsupported") ? NOT_SUPPORTED : identity_status(device); }

static uint32_t reading(uint32_t value, uint32_t not_read, uint32_t nonsense) {
    if (faring("not-read")) return not_read;
    return faring("nonsense") ? nonsense : value;
}

int amdsmi_init(uint64_t flags) { (void)flags; return faring("no-driver") ? DRIVER_NOT_LOADED : SUCCESS; }
int amdsmi_shut_down(void) { return SUCCESS; }

int amdsmi_get_socket_handles(uint32_t *count, device_t *sockets) {
    *count = 2;
    if (sockets != NULL) memcpy(sockets, devices, sizeof devices);
    return faring("gone") ? NOT_INIT : SUCCESS;
}

int amdsmi_get_processor_handles(device_t socket, uint32_t *count, device_t *processors) {
    *count = 1;
    if (processors != NULL) *processors = socket;
    return SUCCESS;
}

typedef struct {
    char market_name[256];
    uint32_t vendor_id;
    char vendor_name[256];
    uint32_t subvendor_id;
    uint64_t device_id;
    uint32_t rev_id;
    char asic_serial[256];
    uint32_t oam_id, num_of_compute_units;
    uint64_t target_graphics_version;
    uint32_t subsystem_id, reserved[21];
} asic_info;

int amdsmi_get_gpu_asic_info(device_t device, asic_info *info) {
    memset(info, 0, sizeof *info);
    strcpy(info->market_name, "AMD Instinct MI210");
    strcpy(info->asic_serial, faring("no-serial") ? "ffffffffffffffff" : device[0] == '0' ? "a0" : "a1");
    info->num_of_compute_units = reading(104, UINT32_MAX, 104);
    info->target_graphics_version = 0x90a;
    return identity_status(device);
}

int amdsmi_get_gpu_device_uuid(device_t device, uint32_t *length, char *text) {
    snprintf(text, *length, "00000000-0000-1000-8000-00000000000%s", faring("no-serial") ? "f" : device);
    return identity_status(device);
}

int amdsmi_get_gpu_device_bdf(device_t device, uint64_t *bdf) {
    *bdf = (uint64_t)(device[0] - '0' + 3) << 8; /* the bus, above 3 bits of function and 5 of device */
    return identity_status(device);
}

typedef struct { char version[256], date[256], name[256]; } driver_info;

int amdsmi_get_gpu_driver_info(device_t device, driver_info *info) {
    memset(info, 0, sizeof *info);
    strcpy(info->version, faring("not-read") ? "" : "6.12.12");
    return identity_status(device);
}

typedef struct {
    uint32_t type;
    char vendor[256];
    uint64_t size;
    uint32_t bit_width;
    uint64_t max_bandwidth, reserved[37];
} vram_info;

int amdsmi_get_gpu_vram_info(device_t device, vram_info *info) {
    memset(info, 0, sizeof *info);
    info->max_bandwidth = faring("not-read") ? UINT64_MAX : 1638;
    return identity_status(device);
}

typedef struct { uint32_t total, used, reserved[2]; } vram_usage;

int amdsmi_get_gpu_vram_usage(device_t device, vram_usage *usage) {
    usage->total = 65520;
    usage->used = reading(2048, UINT32_MAX, 70000);
    return identity_status(device);
}

int amdsmi_get_temp_metric(device_t device, uint32_t sensor, uint32_t metric, int64_t *celsius) {
    (void)metric;
    *celsius = faring("nonsense") ? INT64_MIN : 58;
    return sensor == EDGE ? NOT_SUPPORTED : reading_status(device);
}

typedef struct {
    uint64_t socket_power;
    uint32_t current_socket_power, average_socket_power;
    uint64_t gfx_voltage, soc_voltage, mem_voltage;
    uint32_t power_limit;
    uint64_t reserved[18];
} power_info;

int amdsmi_get_power_info(device_t device, power_info *info) {
    memset(info, 0, sizeof *info);
    info->current_socket_power = 0xFFFF;
    info->average_socket_power = reading(187, UINT32_MAX, 4000000000U);
    info->socket_power = faring("not-read") ? UINT64_MAX : 187;
    return reading_status(device);
}

typedef struct { uint32_t gfx, umc, mm, reserved[13]; } engine_usage;

int amdsmi_get_gpu_activity(device_t device, engine_usage *usage) {
    usage->gfx = reading(35, 0xFFFF, 3000);
    return reading_status(device);
}

typedef struct {
    uint32_t clk, min_clk, max_clk;
    uint8_t locked, deep_sleep;
    uint32_t reserved[4];
} clk_info;

int amdsmi_get_clock_info(device_t device, uint32_t type, clk_info *info) {
    (void)type;
    info->clk = reading(1700, UINT32_MAX, 4000000000U);
    return reading_status(device);
}
