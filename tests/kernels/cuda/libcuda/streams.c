/* Waiting, copies and events. */

#include "fake.h"

CUresult cuStreamSynchronize(CUstream given) {
    ENTER(true);
    STREAM(given);
    if (s->into) {
        s->broken = true;
        return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "waiting for a stream that records");
    }
    run_until(s, s->count);
    know_done(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamQuery(CUstream given) {
    ENTER(true);
    STREAM(given);
    if (s->into) {
        s->broken = true;
        return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "asking a stream that records");
    }
    if (s->first) {
        run_until(s, s->done + 1);
        return CUDA_ERROR_NOT_READY;
    }
    know_done(s);
    return CUDA_SUCCESS;
}

/* Copies with memory of a pool ask that the stream's context be current (CUDA's programming guide,
   "cudaMemcpyAsync Current Context/Device Sensitivity"). */
static CUresult copies(CUstream s, const char *name) {
    if (current()->device != s->device) {
        return fault(CUDA_ERROR_INVALID_CONTEXT, "%s on a stream of device %d while %d is current",
                     name, s->device, current()->device);
    }
    return CUDA_SUCCESS;
}

static bool pinned(uint64_t address, size_t size) {
    Block *b = block_at(address);
    return b && b->device < 0 && address + size <= b->address + b->size;
}

static CUresult on_device(uint64_t address) {
    Block *b = block_at(address);
    return b && b->device >= 0 ? CUDA_SUCCESS
                               : fault(CUDA_ERROR_INVALID_VALUE, "no memory of a device");
}

/* What the host says of its memory; sizes of 0 are allowed, and do nothing. */
static CUresult with_host(CUstream s, const char *name, uint64_t host, uint64_t device) {
    CUresult code = copies(s, name);
    if (code == CUDA_SUCCESS && s->into) {
        code = fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s while a stream records", name);
    }
    if (code == CUDA_SUCCESS && host == 0) {
        code = fault(CUDA_ERROR_INVALID_VALUE, "%s of no address", name);
    }
    return code == CUDA_SUCCESS ? on_device(device) : code;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr target, const void *source, size_t size, CUstream given) {
    ENTER(true);
    STREAM(given);
    CUresult code = with_host(s, __func__, (uint64_t)source, target);
    Op op = {.kind = COPY, .target = target, .source = (uint64_t)source, .size = size};
    if (code == CUDA_SUCCESS && pinned(op.source, size)) {
        code = use(s, op.source, size, false);
    } else if (code == CUDA_SUCCESS) {
        op.staged = memcpy(malloc(size ? size : 1), source, size);
    }
    code = code == CUDA_SUCCESS ? use(s, target, size, true) : code;
    return code == CUDA_SUCCESS ? put(s, op) : code;
}

CUresult cuMemcpyDtoHAsync(void *target, CUdeviceptr source, size_t size, CUstream given) {
    ENTER(true);
    STREAM(given);
    CUresult code = with_host(s, __func__, (uint64_t)target, source);
    code = code == CUDA_SUCCESS ? use(s, source, size, false) : code;
    bool waits = !pinned((uint64_t)target, size);
    if (code == CUDA_SUCCESS && !waits) {
        code = use(s, (uint64_t)target, size, true);
    }
    if (code == CUDA_SUCCESS) {
        code = put(s, (Op){.kind = COPY, .target = (uint64_t)target, .source = source, .size = size});
    }
    if (code == CUDA_SUCCESS && waits) {
        run_until(s, s->count);
        know_done(s);
    }
    return code;
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr target, CUdeviceptr source, size_t size, CUstream given) {
    ENTER(true);
    STREAM(given);
    CUresult code = copies(s, __func__);
    Block *a = block_at(target), *b = block_at(source);
    if (code == CUDA_SUCCESS && (!a || !b || a->device != b->device)) {
        code = fault(CUDA_ERROR_INVALID_VALUE, "cuMemcpyDtoDAsync between two devices");
    }
    if (code == CUDA_SUCCESS && a == b && source < target + size && target < source + size) {
        code = fault(CUDA_ERROR_INVALID_VALUE, "cuMemcpyDtoDAsync of places that overlap");
    }
    Op op = {.kind = COPY, .target = target, .source = source, .size = size};
    if (code == CUDA_SUCCESS && !s->into) {
        code = uses_of(s, &op);
    }
    return code == CUDA_SUCCESS ? put(s, op) : code;
}

CUresult cuMemcpyPeerAsync(CUdeviceptr target, CUcontext to, CUdeviceptr source, CUcontext from,
                           size_t size, CUstream given) {
    ENTER(true);
    STREAM(given);
    Block *a = block_at(target), *b = block_at(source);
    if (!a || !b || a->device != to->device || b->device != from->device) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuMemcpyPeerAsync of memory of other devices");
    }
    Op op = {.kind = COPY, .target = target, .source = source, .size = size};
    if (s->into) {
        return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuMemcpyPeerAsync is recorded");
    }
    /* Out of reach, the driver would take them through the host. */
    CUresult code = use(s, source, size, false);
    code = code == CUDA_SUCCESS ? use(s, target, size, true) : code;
    return code == CUDA_SUCCESS ? put(s, op) : code;
}

/* Rows in planes; each row is a copy of its own here. */
typedef struct {
    uint64_t source, target;
    size_t source_pitch, target_pitch, source_rows, target_rows;
    size_t width, height, depth;
} Rows;

#define ROWS(p) \
    {(p)->srcDevice, (p)->dstDevice, (p)->srcPitch, (p)->dstPitch, (p)->srcHeight, (p)->dstHeight, \
     (p)->WidthInBytes, (p)->Height, (p)->Depth}
#define PLAIN(p) \
    ((p)->srcMemoryType == CU_MEMORYTYPE_DEVICE && (p)->dstMemoryType == CU_MEMORYTYPE_DEVICE && \
     !((p)->srcXInBytes | (p)->srcY | (p)->srcZ | (p)->srcLOD | (p)->dstXInBytes | (p)->dstY | \
       (p)->dstZ | (p)->dstLOD))

static CUresult copy_rows(CUstream s, const char *name, bool plain, Rows r) {
    if (!plain || s->into) {
        return fault(CUDA_ERROR_INVALID_VALUE, "%s of other memory, or recorded", name);
    }
    if (r.source_pitch < r.width || r.target_pitch < r.width || r.source_pitch > INT32_MAX ||
        r.target_pitch > INT32_MAX || r.source_rows < r.height || r.target_rows < r.height) {
        return fault(CUDA_ERROR_INVALID_VALUE, "%s with rows or planes that overlap", name);
    }
    CUresult code = copies(s, name);
    for (size_t k = 0; k < r.depth * r.height && code == CUDA_SUCCESS; k++) {
        size_t plane = k / r.height, row = k % r.height;
        Op op = {.kind = COPY, .size = r.width};
        op.source = r.source + (plane * r.source_rows + row) * r.source_pitch;
        op.target = r.target + (plane * r.target_rows + row) * r.target_pitch;
        code = use(s, op.source, op.size, false);
        code = code == CUDA_SUCCESS ? use(s, op.target, op.size, true) : code;
        code = code == CUDA_SUCCESS ? put(s, op) : code;
    }
    return code;
}

CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D *p, CUstream given) {
    ENTER(true);
    STREAM(given);
    Block *a = block_at(p->dstDevice), *b = block_at(p->srcDevice);
    if (!a || !b || a->device != b->device) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuMemcpy3DAsync between two devices");
    }
    return copy_rows(s, __func__, PLAIN(p), (Rows)ROWS(p));
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *p, CUstream given) {
    ENTER(true);
    STREAM(given);
    Block *a = block_at(p->dstDevice), *b = block_at(p->srcDevice);
    if (!a || !b || a->device != p->dstContext->device || b->device != p->srcContext->device) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuMemcpy3DPeerAsync of memory of other devices");
    }
    return copy_rows(s, __func__, PLAIN(p), (Rows)ROWS(p));
}

/* Events. */

static CUresult known(CUevent event, const char *name) {
    if (event == NULL || event->gone) {
        return fault(CUDA_ERROR_INVALID_HANDLE, "%s of no event", name);
    }
    if (event->captured) {
        return fault(CUDA_ERROR_CAPTURED_EVENT, "%s of a recorded event", name);
    }
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *found, unsigned flags) {
    ENTER(true);
    *found = calloc(1, sizeof **found);
    (*found)->device = current()->device;
    (*found)->done = true;
    return flags == CU_EVENT_DISABLE_TIMING ? CUDA_SUCCESS
                                            : fault(CUDA_ERROR_INVALID_VALUE, "an event that times");
}

CUresult cuEventRecord(CUevent event, CUstream given) {
    ENTER(true);
    STREAM(given);
    CUresult code = known(event, __func__);
    if (code != CUDA_SUCCESS) {
        return code;
    }
    if (event->device != s->device) {
        return fault(CUDA_ERROR_INVALID_HANDLE, "an event of device %d in a stream of device %d",
                     event->device, s->device);
    }
    if (s->into) {
        event->captured = true;
        return fault(CUDA_SUCCESS, "an event goes into what a stream records");
    }
    event->done = false;
    event->stream = s;
    code = put(s, (Op){.kind = MARK, .event = event});
    event->at = s->count;
    memcpy(event->known, s->known, sizeof(Clock));
    return code;
}

CUresult cuStreamWaitEvent(CUstream given, CUevent event, unsigned flags) {
    ENTER(true);
    STREAM(given);
    CUresult code = known(event, __func__);
    if (code == CUDA_SUCCESS && flags) {
        code = fault(CUDA_ERROR_INVALID_VALUE, "cuStreamWaitEvent with flags");
    }
    if (code == CUDA_SUCCESS && s->into) {
        code = fault(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "a wait goes into what a stream records");
    }
    if (code == CUDA_SUCCESS && event->stream) {
        learn(s->known, event->known);
        code = put(s, (Op){.kind = AWAIT, .event = event});
    }
    return code;
}

CUresult cuEventSynchronize(CUevent event) {
    ENTER(true);
    CUresult code = known(event, __func__);
    if (code == CUDA_SUCCESS && event->stream) {
        run_until(event->stream, event->at);
        learn(host_known, event->known);
    }
    return code;
}

CUresult cuEventQuery(CUevent event) {
    ENTER(true);
    CUresult code = known(event, __func__);
    if (code != CUDA_SUCCESS || event->done) {
        if (event && event->done && event->stream) {
            learn(host_known, event->known);
        }
        return code;
    }
    /* A device goes on while the host asks. */
    run_until(event->stream, event->stream->done + 1);
    return CUDA_ERROR_NOT_READY;
}

CUresult cuEventDestroy(CUevent event) {
    ENTER(true);
    CUresult code = event && event->captured ? CUDA_SUCCESS : known(event, __func__);
    if (event) {
        event->gone = true;
    }
    return code;
}
