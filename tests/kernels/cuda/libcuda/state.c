/* Contexts, memory, streams, events, and what can go wrong with them. */

#include "fake.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t mutex;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool initialised;
static int device_count = 1;
static size_t memory_limit = (size_t)1 << 30;
static size_t memory_used[MOST_DEVICES];
static uint64_t bases[MOST_DEVICES], nexts[MOST_DEVICES];
static const size_t RANGE = (size_t)1 << 36;
static struct CUctx_st contexts[MOST_DEVICES];
static struct CUmemPoolHandle_st pools[MOST_DEVICES];
static bool reaches[MOST_DEVICES][MOST_DEVICES];
static __thread CUcontext current_context;
static Block *all_blocks;
static CUstream streams[MOST_STREAMS];
static int stream_count;
static CUstream default_streams[MOST_DEVICES][2];
Clock host_known;
static unsigned pause_us;
static char faults[1 << 16];
static struct {
    char name[64];
    CUresult code;
    int after, times;
} failing;
static char asked[1 << 20];

static void prepare(void) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &kind);
}

void acquire(void) {
    if (pause_us) {
        usleep(pause_us);
    }
    pthread_once(&once, prepare);
    pthread_mutex_lock(&mutex);
}

void release(int *held) {
    (void)held;
    pthread_mutex_unlock(&mutex);
}

CUresult fault(CUresult code, const char *form, ...) {
    va_list args;
    size_t at = strlen(faults);
    va_start(args, form);
    vsnprintf(faults + at, sizeof faults - at - 2, form, args);
    va_end(args);
    strcat(faults, "\n");
    return code;
}

/* For tests. */

const char *fake_faults(void) { return faults; }
void fake_forgive(void) { faults[0] = 0; }
const char *fake_asked(void) { return asked; }
void fake_forget_asked(void) { asked[0] = 0; }
void fake_machine(int count, size_t memory) {
    device_count = count;
    memory_limit = memory;
}
/* Each call takes so long, in which other threads go on. */
void fake_pause(unsigned us) { pause_us = us; }
size_t fake_used(int device) { return memory_used[device]; }
char *fake_memory(uint64_t address, size_t size) { return behind(address, size); }
/* A function refuses, from its call number `after` on, so many times. */
void fake_fail(const char *name, int code, int after, int times) {
    snprintf(failing.name, sizeof failing.name, "%s", name);
    failing.code = code;
    failing.after = after;
    failing.times = times;
}

CUresult begin(const char *name, bool needs_context) {
    if (strlen(asked) + strlen(name) + 2 < sizeof asked) {
        strcat(strcat(asked, name), " ");
    }
    if (!initialised) {
        return fault(CUDA_ERROR_NOT_INITIALIZED, "%s before cuInit", name);
    }
    if (needs_context && current_context == NULL) {
        return fault(CUDA_ERROR_INVALID_CONTEXT, "%s in a thread without a context", name);
    }
    if (failing.times && strcmp(failing.name, name) == 0 && failing.after-- <= 0) {
        failing.times--;
        return failing.code;
    }
    return CUDA_SUCCESS;
}

CUcontext current(void) { return current_context; }

CUresult cuInit(unsigned flags) {
    acquire();
    int held __attribute__((cleanup(release))) = 0;
    (void)held;
    if (flags) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (int k = 0; k < MOST_DEVICES && !initialised; k++) {
        contexts[k].device = pools[k].device = k;
        void *range = mmap(NULL, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        bases[k] = nexts[k] = (uint64_t)range;
        reaches[k][k] = true;
    }
    initialised = true;
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
    ENTER(false);
    *count = device_count;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER(false);
    *device = ordinal;
    return ordinal < device_count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    ENTER(false);
    snprintf(name, size, "Fake GPU %d", device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which, CUdevice device) {
    ENTER(false);
    (void)device;
    switch (which) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 9; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
    default: return fault(CUDA_ERROR_INVALID_VALUE, "attribute %d is not known", which);
    }
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
    ENTER(false);
    (void)device;
    *bytes = memory_limit;
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
    ENTER(false);
    *can = device != peer;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) {
    ENTER(false);
    *pool = &pools[device];
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *map, size_t count) {
    ENTER(false);
    for (size_t k = 0; k < count; k++) {
        int device = map[k].location.id;
        if (map[k].location.type != CU_MEM_LOCATION_TYPE_DEVICE || device == pool->device ||
            device >= device_count || map[k].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE) {
            return fault(CUDA_ERROR_INVALID_VALUE, "cuMemPoolSetAccess of no other device");
        }
        reaches[pool->device][device] = true;
    }
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    ENTER(false);
    *context = &contexts[device];
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    ENTER(false);
    current_context = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
    ENTER(false);
    *context = current_context;
    return CUDA_SUCCESS;
}

/* Memory. */

Block *block_at(uint64_t address) {
    for (Block *b = all_blocks; b; b = b->next) {
        if (b->address <= address && address < b->address + b->size) {
            return b;
        }
    }
    return NULL;
}

char *behind(uint64_t address, size_t size) {
    Block *b = block_at(address);
    if (b == NULL || address + size > b->address + b->size) {
        fault(CUDA_ERROR_ILLEGAL_ADDRESS, "%zu bytes at %#lx are not in memory of one block", size,
              (unsigned long)address);
        return NULL;
    }
    return b->bytes + (address - b->address);
}

CUresult use(CUstream s, uint64_t address, size_t size, bool writes) {
    Block *b = block_at(address);
    if (b && b->device >= 0 && !reaches[b->device][s->device]) {
        return fault(CUDA_ERROR_ILLEGAL_ADDRESS, "device %d has no access to memory of device %d",
                     s->device, b->device);
    }
    return order(s, address, size, writes);
}

CUresult order(CUstream s, uint64_t address, size_t size, bool writes) {
    Block *b = block_at(address);
    if (b == NULL || address + size > b->address + b->size) {
        return fault(CUDA_ERROR_ILLEGAL_ADDRESS, "%zu bytes at %#lx are not in memory of one block",
                     size, (unsigned long)address);
    }
    if (b->gone) {
        return fault(CUDA_ERROR_ILLEGAL_ADDRESS, "memory at %#lx is used after it was given back",
                     (unsigned long)address);
    }
    if (b->maker && s->known[b->maker->id] < b->made) {
        return fault(CUDA_ERROR_ILLEGAL_ADDRESS, "memory is used before its stream has made it");
    }
    for (int k = 0; k < stream_count; k++) {
        /* A stream is in order with itself, and so is what it records. */
        if (k != s->id &&
            (s->known[k] < b->written[k] || (writes && s->known[k] < b->used[k]))) {
            return fault(CUDA_ERROR_ILLEGAL_ADDRESS,
                         "stream %d %s %#lx without waiting for stream %d", s->id,
                         writes ? "writes" : "reads", (unsigned long)address, k);
        }
    }
    b->used[s->id] = s->count + 1;
    if (writes) {
        b->written[s->id] = s->count + 1;
    }
    return CUDA_SUCCESS;
}

static Block *new_block(uint64_t address, size_t size, int device) {
    Block *b = calloc(1, sizeof *b);
    b->bytes = aligned_alloc(512, (size + 511) / 512 * 512);
    memset(b->bytes, 0xA5, size);
    b->address = device < 0 ? (uint64_t)b->bytes : address;
    b->size = size;
    b->device = device;
    b->next = all_blocks;
    return all_blocks = b;
}

CUresult cuMemAllocAsync(CUdeviceptr *found, size_t size, CUstream given) {
    ENTER(true);
    STREAM(given);
    int d = s->device;
    if (s->into) {
        return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "memory is made while a stream records");
    }
    if (size == 0) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuMemAllocAsync of 0 bytes");
    }
    if (memory_used[d] + size > memory_limit) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    Block *b = new_block(nexts[d], size, d);
    nexts[d] += (size + 511) / 512 * 512 + 4096;
    memory_used[d] += size;
    b->maker = s;
    b->made = s->count + 1;
    *found = b->address;
    return put(s, (Op){.kind = AWAIT});
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream given) {
    ENTER(true);
    STREAM(given);
    Block *b = block_at(address);
    if (s->into) {
        return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "memory goes while a stream records");
    }
    if (b == NULL || b->address != address || b->gone || b->device < 0) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuMemFreeAsync of what is no memory");
    }
    for (int k = 0; k < stream_count; k++) {
        if (s->known[k] < b->used[k]) {
            fault(CUDA_SUCCESS, "memory goes before stream %d has used it", k);
        }
    }
    b->gone = true;
    return put(s, (Op){.kind = FREE, .block = b});
}

CUresult cuMemHostAlloc(void **found, size_t size, unsigned flags) {
    ENTER(true);
    *found = (void *)new_block(0, size, -1)->address;
    return flags || !size ? fault(CUDA_ERROR_INVALID_VALUE, "cuMemHostAlloc") : CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *address) {
    ENTER(true);
    Block *b = block_at((uint64_t)address);
    if (b == NULL || b->device >= 0 || b->gone || b->address != (uint64_t)address) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost of what is no memory");
    }
    for (int k = 0; k < stream_count; k++) {
        if (host_known[k] < b->used[k]) {
            fault(CUDA_SUCCESS, "pinned memory goes before stream %d has used it", k);
        }
    }
    b->gone = true;
    memset(b->bytes, 0x5A, b->size);
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo(size_t *free, size_t *total) {
    ENTER(true);
    *total = memory_limit;
    *free = memory_limit - memory_used[current()->device];
    return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute which, CUdeviceptr address) {
    ENTER(false);
    Block *b = block_at(address);
    if (b == NULL || which != CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *(int *)data = b->device;
    return CUDA_SUCCESS;
}

/* Streams. */

static CUstream new_stream(int device) {
    CUstream s = calloc(1, sizeof *s);
    if (stream_count == MOST_STREAMS) {
        abort();
    }
    s->id = stream_count;
    s->device = device;
    return streams[stream_count++] = s;
}

CUresult cuStreamCreate(CUstream *found, unsigned flags) {
    ENTER(true);
    *found = new_stream(current()->device);
    return flags == CU_STREAM_NON_BLOCKING ? CUDA_SUCCESS
                                           : fault(CUDA_ERROR_INVALID_VALUE, "a blocking stream");
}

CUstream stream_of(CUstream given, CUresult *code) {
    if (given == NULL) {
        *code = fault(CUDA_ERROR_INVALID_HANDLE, "the default stream without its name");
        return NULL;
    }
    if (given == CU_STREAM_LEGACY || given == CU_STREAM_PER_THREAD) {
        if (current() == NULL) {
            *code = fault(CUDA_ERROR_INVALID_CONTEXT, "a default stream without a context");
            return NULL;
        }
        CUstream *own = &default_streams[current()->device][given == CU_STREAM_PER_THREAD];
        given = *own ? *own : (*own = new_stream(current()->device));
    }
    for (int k = 0; k < stream_count; k++) {
        if (streams[k] == given) {
            learn(given->known, host_known);
            return given;
        }
    }
    *code = fault(CUDA_ERROR_INVALID_HANDLE, "%p is no stream", (void *)given);
    return NULL;
}

void learn(Clock known, const Clock more) {
    for (int k = 0; k < stream_count; k++) {
        known[k] = known[k] < more[k] ? more[k] : known[k];
    }
}

CUresult put(CUstream s, Op op) {
    Op *made = malloc(sizeof *made);
    *made = op;
    made->next = NULL;
    if (s->into) {
        if (s->after != s->into->last) {
            fault(CUDA_SUCCESS, "a node that comes after another than the last");
        }
        made->graph = s->into;
        *(s->into->last ? &s->into->last->next : &s->into->first) = made;
        s->into->last = s->after = made;
        return CUDA_SUCCESS;
    }
    made->at = s->known[s->id] = ++s->count;
    *(s->last ? &s->last->next : &s->first) = made;
    s->last = made;
    return CUDA_SUCCESS;
}

static void run_one(CUstream s) {
    Op *op = s->first;
    s->first = op->next;
    if (s->first == NULL) {
        s->last = NULL;
    }
    s->done = op->at;
    run_op(op);
}

void run_op(const Op *op) {
    if (op->kind == COPY) {
        const char *from = op->staged ? op->staged : behind(op->source, op->size);
        /* Of the host's memory only what is pinned is known. */
        char *to = block_at(op->target) ? behind(op->target, op->size) : (char *)op->target;
        if (from && to) {
            memmove(to, from, op->size);
        }
    } else if (op->kind == LAUNCH) {
        run_kernel(op);
    } else if (op->kind == MARK) {
        op->event->done = true;
    } else if (op->kind == AWAIT && op->event) {
        run_until(op->event->stream, op->event->at);
    } else if (op->kind == FREE) {
        memory_used[op->block->device] -= op->block->size;
        memset(op->block->bytes, 0x5A, op->block->size);
    } else if (op->kind == GRAPH) {
        start_choices(op->exec->graph);
        run_graph(op->exec->graph);
    } else if (op->kind == CHOICE) {
        run_choice(op);
    }
}

void run_until(CUstream s, long at) {
    while (s->first && s->done < at) {
        run_one(s);
    }
}

void know_done(CUstream s) { learn(host_known, s->known); }

CUresult cuStreamGetCtx(CUstream given, CUcontext *context) {
    ENTER(false);
    STREAM(given);
    *context = &contexts[s->device];
    return CUDA_SUCCESS;
}
