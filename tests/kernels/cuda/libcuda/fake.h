/* A libcuda without a GPU: it checks what it is asked as the driver would, and more strictly where
   the driver leaves something undefined. Memory of devices is the host's, behind addresses that
   nobody can read; work waits in queues until somebody waits for it; what kernels do is asked of a
   hook. Clocks of streams find work that nothing orders.

   What is broken is a fault: text for the test, and an error code for the caller. */

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

enum { MOST_DEVICES = 4, MOST_STREAMS = 96, MOST_CHOICES = 4096, MOST_NUMBERS = 128 };

typedef long Clock[MOST_STREAMS];

struct CUctx_st {
    int device;
};

struct CUmemPoolHandle_st {
    int device;
};

/* Memory of a device, or pinned memory of the host (device -1); never reused, so that use after
   its end is found. */
typedef struct Block {
    struct Block *next;
    uint64_t address;
    size_t size;
    char *bytes;
    int device;
    bool gone;
    CUstream maker;
    long made;
    Clock used;
    Clock written;
} Block;

typedef enum { COPY, LAUNCH, MARK, AWAIT, FREE, GRAPH, CHOICE } Kind;

/* One thing in a queue, or in a graph. */
typedef struct CUgraphNode_st {
    struct CUgraphNode_st *next;
    Kind kind;
    long at;
    CUgraph graph;
    /* COPY: addresses, the host's or a device's; `staged`: what pageable memory held. */
    uint64_t target, source;
    size_t size;
    char *staged;
    Block *block;
    CUevent event;
    CUgraphExec exec;
    CUfunction function;
    unsigned blocks, threads, dynamic;
    unsigned count;
    uint64_t numbers[MOST_NUMBERS];
    int choice;
    bool again;
    CUgraph body;
} Op;

struct CUstream_st {
    int id;
    int device;
    long count, done;
    Op *first, *last;
    Clock known;
    /* While it records: into which graph, and what the next node comes after. */
    CUgraph into;
    CUgraphNode after;
    bool broken;
};

struct CUevent_st {
    int device;
    bool gone, done, captured;
    CUstream stream;
    long at;
    Clock known;
};

struct CUmod_st {
    int device;
    char *image;
    size_t size;
    bool text;
};

struct CUfunc_st {
    CUmodule module;
    char name[256];
    unsigned count;
    unsigned sizes[MOST_NUMBERS];
    unsigned registers, most_threads, shared, granted;
};

struct CUgraph_st {
    Op *first, *last;
    bool gone, recording;
    CUgraph outer;
};

struct CUgraphExec_st {
    CUgraph graph;
    bool gone;
    int device;
};

typedef struct {
    CUgraph graph;
    unsigned start, value;
    int uses;
} Choice;

extern Choice choices[MOST_CHOICES];
extern int choice_count;
extern Clock host_known;

/* state.c */
CUresult fault(CUresult code, const char *form, ...) __attribute__((format(printf, 2, 3)));
CUresult begin(const char *name, bool needs_context);
void acquire(void);
void release(int *held);
CUcontext current(void);
Block *block_at(uint64_t address);
/* The host's memory behind an address. */
char *behind(uint64_t address, size_t size);
/* NULL and an error code where a stream or its context cannot be used. */
CUstream stream_of(CUstream given, CUresult *code);
/* What is used must be memory, and what others do there must come before; `use`: and within reach. */
CUresult order(CUstream s, uint64_t address, size_t size, bool writes);
CUresult use(CUstream s, uint64_t address, size_t size, bool writes);
/* Puts work into a queue, or into the graph that the stream records. */
CUresult put(CUstream s, Op op);
void run_until(CUstream s, long at);
void run_op(const Op *op);
void learn(Clock known, const Clock more);
void know_done(CUstream s);

/* graphs.c */
CUresult uses_of(CUstream s, const Op *op);
void run_graph(CUgraph graph);
void start_choices(CUgraph graph);
void run_choice(const Op *op);

/* modules.c */
void run_kernel(const Op *op);

#define ENTER(needs_context)                                                                       \
    acquire();                                                                                     \
    int held __attribute__((cleanup(release))) = 0;                                                \
    (void)held;                                                                                    \
    CUresult begun = begin(__func__, needs_context);                                               \
    if (begun != CUDA_SUCCESS)                                                                     \
    return begun
#define STREAM(given)                                                                              \
    CUresult why = CUDA_SUCCESS;                                                                   \
    CUstream s = stream_of(given, &why);                                                           \
    if (s == NULL)                                                                                 \
    return why
