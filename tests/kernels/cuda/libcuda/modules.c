/* Machine code and launches, and the table of functions that a program asks for by name. */

#include "fake.h"

#include <ctype.h>
#include <elf.h>
#include <stdio.h>

/* Attributes of a kernel in the section .nv.info.NAME of a cubin. */
enum { SIZED = 4, MAX_THREADS = 0x05, PARAMETER = 0x17, REGISTERS = 0x2F };
enum { MOST_THREADS = 1024, MOST_SHARED = 227 * 1024, PLAIN_SHARED = 48 * 1024, FILE_OF = 65536 };

typedef void (*Hook)(CUfunction, const unsigned *, const uint64_t *, unsigned);
static Hook hook;

/* Who does what kernels do; without one they do nothing. */
void fake_hook(Hook given) { hook = given; }
const char *fake_name(CUfunction f) { return f->name; }
const char *fake_image(CUfunction f, size_t *size) {
    *size = f->module->size;
    return f->module->image;
}

void run_kernel(const Op *op) {
    if (hook) {
        const unsigned grid[] = {op->blocks, op->threads, op->dynamic};
        hook(op->function, grid, op->numbers, op->count);
    }
}

CUresult cuModuleLoadData(CUmodule *found, const void *image) {
    ENTER(true);
    CUmodule m = calloc(1, sizeof *m);
    m->device = current()->device;
    m->text = memcmp(image, ELFMAG, SELFMAG) != 0;
    if (m->text) {
        m->size = strlen(image) + 1;
        if (strstr(image, ".version") == NULL) {
            return fault(CUDA_ERROR_INVALID_IMAGE, "neither machine code nor PTX");
        }
    } else {
        const Elf64_Ehdr *head = image;
        const Elf64_Shdr *part = (const void *)((const char *)image + head->e_shoff);
        size_t steps = head->e_phoff + head->e_phnum * sizeof(Elf64_Phdr);
        m->size = head->e_shoff + head->e_shnum * sizeof *part;
        m->size = m->size < steps ? steps : m->size;
        for (int k = 0; k < head->e_shnum; k++) {
            size_t end = part[k].sh_offset + (part[k].sh_type == SHT_NOBITS ? 0 : part[k].sh_size);
            m->size = m->size < end ? end : m->size;
        }
        /* The target is byte 1 of the flags. */
        if ((head->e_flags >> 8 & 0xFF) != 90) {
            return fault(CUDA_ERROR_NO_BINARY_FOR_GPU, "machine code for sm_%d",
                         head->e_flags >> 8 & 0xFF);
        }
    }
    m->image = memcpy(malloc(m->size), image, m->size);
    *found = m;
    return CUDA_SUCCESS;
}

static const Elf64_Shdr *section(const char *image, const char *name) {
    const Elf64_Ehdr *head = (const void *)image;
    const Elf64_Shdr *part = (const void *)(image + head->e_shoff);
    for (int k = 0; k < head->e_shnum; k++) {
        if (strcmp(image + part[head->e_shstrndx].sh_offset + part[k].sh_name, name) == 0) {
            return &part[k];
        }
    }
    return NULL;
}

/* The attributes of one section; `symbol`: of which kernel, where they are of several. */
static void attributes(CUfunction f, const Elf64_Shdr *part, uint32_t symbol) {
    const char *at = f->module->image + part->sh_offset, *end = at + part->sh_size;
    while (at < end) {
        unsigned form = (unsigned char)at[0], what = (unsigned char)at[1];
        uint16_t size = form == SIZED ? *(const uint16_t *)(at + 2) : 0;
        const uint32_t *value = (const void *)(at + 4);
        if (form == SIZED && what == PARAMETER) {
            unsigned number = value[1] & 0xFFFF;
            f->sizes[number] = value[2] >> 18;
            f->count = f->count <= number ? number + 1 : f->count;
        } else if (form == SIZED && what == MAX_THREADS) {
            f->most_threads = value[0] * value[1] * value[2];
        } else if (form == SIZED && what == REGISTERS && value[0] == symbol) {
            f->registers = value[1];
        }
        at += 4 + size;
    }
}

static CUresult of_text(CUfunction f, const char *name) {
    char wanted[300];
    snprintf(wanted, sizeof wanted, ".entry %s(", name);
    const char *at = strstr(f->module->image, wanted);
    if (at == NULL) {
        return CUDA_ERROR_NOT_FOUND;
    }
    const char *end = strchr(at, ')');
    while ((at = strstr(at, ".param .u64")) && at < end) {
        f->sizes[f->count++] = 8;
        at++;
    }
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *found, CUmodule module, const char *name) {
    ENTER(true);
    CUfunction f = calloc(1, sizeof *f);
    char part[300];
    f->module = module;
    snprintf(f->name, sizeof f->name, "%s", name);
    *found = f;
    if (module->text) {
        return of_text(f, name);
    }
    snprintf(part, sizeof part, ".nv.info.%s", name);
    const Elf64_Shdr *own = section(module->image, part), *all = section(module->image, ".nv.info");
    snprintf(part, sizeof part, ".text.%s", name);
    const Elf64_Shdr *code = section(module->image, part);
    if (own == NULL || all == NULL || code == NULL) {
        return fault(CUDA_ERROR_NOT_FOUND, "no kernel %s", name);
    }
    /* The kernel's symbol is in the low bytes of what its code's section says. */
    attributes(f, own, 0);
    attributes(f, all, code->sh_info & 0xFFFFFF);
    snprintf(part, sizeof part, ".nv.shared.%s", name);
    const Elf64_Shdr *shared = section(module->image, part);
    f->shared = shared ? (unsigned)shared->sh_size : 0;
    return f->shared > PLAIN_SHARED ? fault(CUDA_ERROR_INVALID_IMAGE, "%u bytes shared", f->shared)
                                    : CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute which, int value) {
    ENTER(true);
    if (which != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ||
        f->shared + value > MOST_SHARED) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuFuncSetAttribute");
    }
    f->granted = value;
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction f, unsigned x, unsigned y, unsigned z, unsigned threads,
                        unsigned ty, unsigned tz, unsigned dynamic, CUstream given,
                        void **parameters, void **extra) {
    ENTER(true);
    STREAM(given);
    if (f->module->device != s->device) {
        return fault(CUDA_ERROR_INVALID_HANDLE, "%s is a kernel of device %d, its stream of %d",
                     f->name, f->module->device, s->device);
    }
    if (!x || !threads || y != 1 || z != 1 || ty != 1 || tz != 1 || extra || x > 0x7FFFFFFF) {
        return fault(CUDA_ERROR_INVALID_VALUE, "%s: %u blocks of %u threads", f->name, x, threads);
    }
    if (threads > MOST_THREADS || (f->most_threads && threads > f->most_threads)) {
        return fault(CUDA_ERROR_INVALID_VALUE, "%s has %u threads, and %u at most", f->name, threads,
                     f->most_threads);
    }
    if (dynamic > (f->granted ? f->granted : PLAIN_SHARED - f->shared)) {
        return fault(CUDA_ERROR_INVALID_VALUE, "%s asks for %u bytes shared", f->name, dynamic);
    }
    unsigned each = (f->registers + 7) / 8 * 8, warps = (threads + 31) / 32;
    if (each * warps * 32 > FILE_OF) {
        return fault(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "%s: %u registers of %u threads", f->name,
                     each, threads);
    }
    Op op = {.kind = LAUNCH, .function = f, .blocks = x, .threads = threads, .dynamic = dynamic,
             .count = f->count};
    for (unsigned k = 0; k < f->count; k++) {
        memcpy(&op.numbers[k], parameters[k], f->sizes[k]);
    }
    if (!s->into) {
        CUresult code = uses_of(s, &op);
        if (code != CUDA_SUCCESS) {
            return code;
        }
    }
    return put(s, op);
}

CUresult cuGetErrorName(CUresult code, const char **text) {
    switch (code) {
#define NAMED(name) case name: *text = #name; break;
        NAMED(CUDA_SUCCESS) NAMED(CUDA_ERROR_INVALID_VALUE) NAMED(CUDA_ERROR_OUT_OF_MEMORY)
    default: *text = "an error"; break;
    }
    return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult code, const char **text) { return cuGetErrorName(code, text); }

typedef struct {
    const char *name;
    void *function;
} Entry;

#define FUNCTION(name) {#name, name}
static const Entry ENTRIES[] = {
    FUNCTION(cuInit), FUNCTION(cuDriverGetVersion), FUNCTION(cuGetErrorName),
    FUNCTION(cuGetErrorString), FUNCTION(cuDeviceGetCount), FUNCTION(cuDeviceGet),
    FUNCTION(cuDeviceGetName), FUNCTION(cuDeviceGetAttribute), FUNCTION(cuDeviceTotalMem),
    FUNCTION(cuDeviceCanAccessPeer), FUNCTION(cuDeviceGetDefaultMemPool),
    FUNCTION(cuMemPoolSetAccess), FUNCTION(cuDevicePrimaryCtxRetain), FUNCTION(cuCtxSetCurrent),
    FUNCTION(cuCtxGetCurrent), FUNCTION(cuMemAllocAsync), FUNCTION(cuMemFreeAsync),
    FUNCTION(cuMemHostAlloc), FUNCTION(cuMemFreeHost), FUNCTION(cuMemGetInfo),
    FUNCTION(cuPointerGetAttribute), FUNCTION(cuStreamCreate), FUNCTION(cuStreamSynchronize),
    FUNCTION(cuStreamQuery), FUNCTION(cuStreamGetCtx), FUNCTION(cuStreamWaitEvent),
    FUNCTION(cuMemcpyHtoDAsync), FUNCTION(cuMemcpyDtoHAsync),
    FUNCTION(cuMemcpyDtoDAsync), FUNCTION(cuMemcpyPeerAsync),
    FUNCTION(cuMemcpy3DAsync), FUNCTION(cuMemcpy3DPeerAsync),
    FUNCTION(cuEventCreate), FUNCTION(cuEventRecord), FUNCTION(cuEventSynchronize),
    FUNCTION(cuEventQuery), FUNCTION(cuEventDestroy),
    FUNCTION(cuStreamBeginCapture), FUNCTION(cuStreamBeginCaptureToGraph),
    FUNCTION(cuStreamEndCapture), FUNCTION(cuStreamGetCaptureInfo),
    FUNCTION(cuStreamUpdateCaptureDependencies),
    FUNCTION(cuGraphConditionalHandleCreate), FUNCTION(cuGraphAddNode),
    FUNCTION(cuGraphInstantiate), {"cuGraphInstantiateWithFlags", cuGraphInstantiate},
    FUNCTION(cuGraphLaunch), FUNCTION(cuGraphExecDestroy), FUNCTION(cuGraphDestroy),
    FUNCTION(cuModuleLoadData), FUNCTION(cuModuleGetFunction), FUNCTION(cuFuncSetAttribute),
    FUNCTION(cuLaunchKernel),
};

#undef cuGetProcAddress
/* Of functions of several versions there is the newest: others are asked for by older numbers. */
CUresult cuGetProcAddress_v2(const char *symbol, void **found, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status) {
    (void)flags;
    *found = NULL;
    bool older = strcmp(symbol, "cuStreamGetCaptureInfo") == 0 && version < 12030;
    for (size_t k = 0; k < sizeof ENTRIES / sizeof *ENTRIES && !older; k++) {
        if (strcmp(ENTRIES[k].name, symbol) == 0) {
            *found = ENTRIES[k].function;
        }
    }
    if (strcmp(symbol, "cuGetProcAddress") == 0) {
        *found = cuGetProcAddress_v2;
    }
    if (status) {
        *status = *found ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    }
    return *found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **found, int version, cuuint64_t flags) {
    return cuGetProcAddress_v2(symbol, found, version, flags, NULL);
}
