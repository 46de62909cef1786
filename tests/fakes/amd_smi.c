/* A libamd_smi.so with two GPUs and no hardware, to drive the real binding. See faring.h.
 *
 * The binding asks for every symbol of the library when it is imported. Those that are not here come from a second file, made
 * of the binding's own text, in which each answers that it is not supported.
 *
 * Words of FAKE_GPU:
 *   no-driver (does not start), gone (the driver is unloaded: until it is started anew), lost (the second GPU falls off the
 *   bus: until the library is started anew), unsupported (no reading but memory), not-read (readings that the library marks
 *   as not read), nonsense (readings out of all bounds), no-serial (cards without a serial number), swapped (another second
 *   card), apu (works in the host's memory), hot and braked (held back), accelerator (tells by counters why it is held back),
 *   cpx (the first card is split into four partitions, each of which tells the whole card's memory), cpx-own (each tells its
 *   own memory), cpx-unnumbered (their numbers are not told), pcie (the two are joined by no more than that).
 * FAKE_EVENTS: GPU:EVENT, such as 1:3 for a reset that is about to come.
 */
#include "faring.h"

enum { SUCCESS = 0, NOT_SUPPORTED = 2, NOT_FOUND = 31, NOT_INIT = 32, DRIVER_NOT_LOADED = 34, NO_DATA = 40 };
enum { EDGE = 0 };

#define MIB (1024ULL * 1024)
#define TOTAL_MIB 65520
#define PARTITIONS 4

struct device { int card, partition; };
typedef const struct device *device_t;
static const struct device devices[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {1, 0}};
static const struct device *const sockets[] = {&devices[0], &devices[4]};

static int started, lost;

static int is_split(void) { return faring("cpx") || faring("cpx-own") || faring("cpx-unnumbered"); }
static int second(device_t device) { return device->card == 1; }

static int driver_status(void) {
    if (faring("gone")) started = 0;
    return started ? SUCCESS : NOT_INIT;
}

static int identity_status(device_t device) {
    if (faring("lost")) lost = 1;
    if (driver_status() != SUCCESS) return NOT_INIT;
    return lost && second(device) ? NOT_FOUND : SUCCESS;
}

static int reading_status(device_t device) { return faring("unsupported") ? NOT_SUPPORTED : identity_status(device); }

static uint64_t told(uint64_t value, uint64_t not_read, uint64_t nonsense) {
    return faring("not-read") ? not_read : reading(value, nonsense);
}

int amdsmi_init(uint64_t flags) {
    (void)flags;
    called(__func__);
    for_ever_if("wedged-start");
    if (faring("no-driver") || faring("gone")) return DRIVER_NOT_LOADED;
    started = 1;
    lost = 0;
    return SUCCESS;
}

int amdsmi_shut_down(void) { called(__func__); return SUCCESS; }

int amdsmi_get_socket_handles(uint32_t *count, device_t *into) {
    *count = 2;
    if (into != NULL) memcpy(into, sockets, sizeof sockets);
    return driver_status();
}

int amdsmi_get_processor_handles(device_t socket, uint32_t *count, device_t *processors) {
    *count = socket->card == 0 && is_split() ? PARTITIONS : 1;
    for (uint32_t each = 0; processors != NULL && each < *count; each++) processors[each] = socket + each;
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
    const char *serial = second(device) ? faring("swapped") ? "a9" : "a1" : "a0";
    memset(info, 0, sizeof *info);
    strcpy(info->market_name, "AMD Instinct MI210");
    strcpy(info->asic_serial, faring("no-serial") ? "ffffffffffffffff" : serial);
    info->device_id = 0x740f;
    info->num_of_compute_units = told(104, UINT32_MAX, 104);
    info->target_graphics_version = 0x90a;
    return identity_status(device);
}

int amdsmi_get_gpu_device_bdf(device_t device, uint64_t *bdf) {
    /* The bus, above 3 bits of function and 5 of device. */
    *bdf = (uint64_t)(device->card + 3) << 8 | (uint64_t)device->partition;
    return identity_status(device);
}

typedef struct { uint64_t kfd_id; uint32_t node_id, partition, reserved[12]; } kfd_info;

int amdsmi_get_gpu_kfd_info(device_t device, kfd_info *info) {
    memset(info, 0, sizeof *info);
    info->partition = faring("cpx-unnumbered") ? UINT32_MAX : (uint32_t)device->partition;
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
    info->size = TOTAL_MIB;
    info->max_bandwidth = told(1638, UINT64_MAX, 1638);
    return identity_status(device);
}

typedef struct { uint32_t total, used, reserved[2]; } vram_usage;

int amdsmi_get_gpu_vram_usage(device_t device, vram_usage *usage) {
    usage->total = faring("cpx-own") && !second(device) ? TOTAL_MIB / PARTITIONS : TOTAL_MIB;
    usage->used = told(2048, UINT32_MAX, 70000);
    return identity_status(device);
}

int amdsmi_get_temp_metric(device_t device, uint32_t sensor, uint32_t metric, int64_t *celsius) {
    (void)metric;
    called(__func__);
    *celsius = reading(58, INT64_MIN);
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
    info->average_socket_power = told(187, UINT32_MAX, 4000000000U);
    info->socket_power = faring("not-read") ? UINT64_MAX : 187;
    return reading_status(device);
}

typedef struct { uint64_t cap, default_cap, dpm_cap, min_cap, max_cap, reserved[3]; } power_cap_info;

int amdsmi_get_power_cap_info(device_t device, uint32_t sensor, power_cap_info *info) {
    (void)sensor;
    memset(info, 0, sizeof *info);
    info->cap = told(300000000, UINT64_MAX, UINT64_MAX - 1); /* microwatts */
    return reading_status(device);
}

typedef struct { uint32_t gfx, umc, mm, reserved[13]; } engine_usage;

int amdsmi_get_gpu_activity(device_t device, engine_usage *usage) {
    called(__func__);
    for_ever_if("wedged");
    usage->gfx = told(35, 0xFFFF, 3000);
    return reading_status(device);
}

typedef struct {
    uint32_t clk, min_clk, max_clk;
    uint8_t locked, deep_sleep;
    uint32_t reserved[4];
} clk_info;

int amdsmi_get_clock_info(device_t device, uint32_t type, clk_info *info) {
    info->clk = told(type == 4 ? 1600 : 1700, UINT32_MAX, 4000000000U);
    return reading_status(device);
}

int amdsmi_get_gpu_pci_throughput(device_t device, uint64_t *sent, uint64_t *received, uint64_t *packet_bytes) {
    called(__func__);
    *sent = told(1000, UINT64_MAX, UINT64_MAX - 1);
    *received = told(5000, UINT64_MAX, UINT64_MAX - 1);
    *packet_bytes = 256;
    return reading_status(device);
}

/* The table of figures that the firmware keeps: what is not told there is all ones. */

typedef struct {
    uint16_t size;
    uint8_t format, content;
    uint16_t until_throttle_status[32];
    uint32_t throttle_status;
    uint16_t fan_and_link[4];
    uint32_t activity[2];
    uint16_t hbm[4];
    uint64_t firmware_timestamp;
    uint16_t voltages[4];
    uint64_t throttle_reasons;
    uint16_t power_and_activity[6];
    uint32_t clock_lock;
    uint16_t xgmi[4];
    uint64_t pcie[5], xgmi_data[16];
    uint16_t clocks_and_jpeg[52];
    uint32_t naks[2];
    uint64_t rounds, prochot_rounds, power_rounds, socket_heat_rounds, regulator_heat_rounds, memory_heat_rounds;
    uint64_t rest[1024];
} gpu_metrics;

int amdsmi_get_gpu_metrics_info(device_t device, uint8_t *into) {
    static uint64_t round;
    static gpu_metrics table;
    memset(&table, 0xFF, sizeof table);
    table.format = faring("apu") ? 2 : 1;
    uint64_t power_limit = 1, hot = 1ULL << 36, braked = 1ULL << 47;
    if (!faring("accelerator"))
        table.throttle_reasons = told(faring("hot") ? hot : faring("braked") ? braked : power_limit, UINT64_MAX, 1ULL << 60);
    else {
        table.prochot_rounds = 7;
        table.power_rounds = ++round;
        table.socket_heat_rounds = faring("hot") ? round : 0;
    }
    /* The binding's struct is shorter than the one here. */
    memcpy(into, &table, offsetof(gpu_metrics, rest));
    return reading_status(device);
}

/* Health. */

typedef struct { uint64_t correctable, uncorrectable, deferred, reserved[5]; } error_count;

int amdsmi_get_gpu_total_ecc_count(device_t device, error_count *count) {
    memset(count, 0, sizeof *count);
    count->correctable = reading(12, UINT64_MAX);
    count->uncorrectable = reading(1, UINT64_MAX);
    return reading_status(device);
}

typedef struct {
    char name[256];
    uint32_t pid;
    uint64_t memory;
    struct { uint64_t gfx, enc; uint32_t reserved[12]; } engines;
    struct { uint64_t gtt, cpu, vram; uint32_t reserved[10]; } memories;
    char container[256];
    uint32_t occupancy, reserved[11];
} process;

int amdsmi_get_gpu_process_list(device_t device, uint32_t *count, process *into) {
    called(__func__);
    *count = 2;
    memset(into, 0, 2 * sizeof *into);
    strcpy(into[0].name, "python3 train.py --token secret");
    into[0].pid = 4242;
    into[0].memories.vram = reading(100 * MIB, UINT64_MAX);
    into[1].pid = 4243;
    return reading_status(device);
}

/* Links. */

int amdsmi_topo_get_link_type(device_t first, device_t other, uint64_t *hops, uint32_t *type) {
    enum { INTERNAL, PCIE, XGMI };
    *hops = 1;
    *type = first->card == other->card ? INTERNAL : faring("pcie") ? PCIE : XGMI;
    return identity_status(other);
}

int amdsmi_get_minmax_bandwidth_between_processors(device_t first, device_t other, uint64_t *min, uint64_t *max) {
    *min = 50000;
    *max = first->card == other->card ? 0 : 100000; /* megabytes a second */
    return identity_status(other);
}

int amdsmi_is_P2P_accessible(device_t first, device_t other, uint8_t *accessible) {
    (void)first;
    *accessible = !faring("pcie");
    return identity_status(other);
}

typedef struct {
    struct { uint16_t max_width; uint32_t max_speed, version, slot_type, max_version; uint64_t reserved[9]; } fixed;
    struct {
        uint16_t width;
        uint32_t speed, bandwidth;
        uint64_t counters[5];
        uint32_t recoveries;
        uint64_t reserved[12];
    } now;
    uint64_t reserved[32];
} pcie_info;

int amdsmi_get_pcie_info(device_t device, pcie_info *info) {
    memset(info, 0, sizeof *info);
    info->fixed.max_width = 16;
    info->fixed.max_speed = 16000; /* megatransfers a second */
    return identity_status(device);
}

/* Events. */

static uint64_t heard[2];

int amdsmi_init_gpu_event_notification(device_t device) { return reading_status(device); }
int amdsmi_stop_gpu_event_notification(device_t device) { heard[device->card] = 0; return driver_status(); }

int amdsmi_set_gpu_event_notification_mask(device_t device, uint64_t mask) {
    heard[device->card] = mask;
    return reading_status(device);
}

typedef struct { device_t device; uint32_t event; char message[256]; uint8_t padding[4]; } event_data;

int amdsmi_get_gpu_event_notification(int timeout_ms, uint32_t *count, event_data *into) {
    (void)timeout_ms;
    uint32_t room = *count;
    *count = 0;
    for (const char *event = next_event(); event != NULL && *count < room; event = next_event()) {
        unsigned int card = 0, kind = 0;
        sscanf(event, "%u:%u", &card, &kind);
        if ((heard[card] >> (kind - 1) & 1) == 0) continue;
        memset(&into[*count], 0, sizeof *into);
        into[*count].device = sockets[card];
        into[(*count)++].event = kind;
    }
    return *count == 0 ? NO_DATA : driver_status();
}
