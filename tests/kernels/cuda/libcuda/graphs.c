/* Streams that record, graphs, and nodes that data decide. */

#include "fake.h"

Choice choices[MOST_CHOICES];
int choice_count;

static CUgraph new_graph(CUgraph outer) {
    CUgraph g = calloc(1, sizeof *g);
    g->outer = outer;
    return g;
}

static CUgraph outermost(CUgraph g) {
    while (g->outer) {
        g = g->outer;
    }
    return g;
}

CUresult cuStreamBeginCapture(CUstream given, CUstreamCaptureMode mode) {
    ENTER(true);
    STREAM(given);
    if (given == CU_STREAM_LEGACY) {
        return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the default stream cannot record");
    }
    if (s->into) {
        return fault(CUDA_ERROR_ILLEGAL_STATE, "a stream begins to record twice");
    }
    s->into = new_graph(NULL);
    s->into->recording = true;
    s->after = NULL;
    s->broken = false;
    return mode == CU_STREAM_CAPTURE_MODE_RELAXED
               ? CUDA_SUCCESS
               : fault(CUDA_ERROR_INVALID_VALUE, "a mode in which libraries cannot load");
}

CUresult cuStreamBeginCaptureToGraph(CUstream given, CUgraph graph, const CUgraphNode *nodes,
                                     const CUgraphEdgeData *data, size_t count,
                                     CUstreamCaptureMode mode) {
    ENTER(true);
    STREAM(given);
    (void)nodes;
    (void)data;
    if (s->into || graph == NULL || graph->gone || graph->recording || graph->first || count ||
        mode != CU_STREAM_CAPTURE_MODE_RELAXED) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuStreamBeginCaptureToGraph");
    }
    s->into = graph;
    s->after = NULL;
    s->broken = false;
    graph->recording = true;
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream given, CUgraph *found) {
    ENTER(true);
    STREAM(given);
    if (s->into == NULL) {
        return fault(CUDA_ERROR_ILLEGAL_STATE, "a stream ends recording that does not record");
    }
    *found = s->broken ? NULL : s->into;
    s->into->recording = false;
    s->into = NULL;
    return s->broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo(CUstream given, CUstreamCaptureStatus *status, cuuint64_t *id,
                                CUgraph *graph, const CUgraphNode **nodes,
                                const CUgraphEdgeData **data, size_t *count) {
    ENTER(true);
    STREAM(given);
    *status = s->into ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    if (id) {
        *id = s->id + 1;
    }
    if (graph) {
        *graph = s->into;
    }
    if (nodes) {
        *nodes = &s->after;
    }
    if (data) {
        /* It lies beside the nodes, of which there is one at most. */
        static const CUgraphEdgeData plain;
        *data = &plain;
    }
    if (count) {
        *count = s->after != NULL;
    }
    return CUDA_SUCCESS;
}

CUresult cuStreamUpdateCaptureDependencies(CUstream given, CUgraphNode *nodes,
                                           const CUgraphEdgeData *data, size_t count,
                                           unsigned flags) {
    ENTER(true);
    STREAM(given);
    (void)data;
    if (s->into == NULL || count != 1 || nodes[0]->graph != s->into ||
        flags != CU_STREAM_SET_CAPTURE_DEPENDENCIES) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuStreamUpdateCaptureDependencies");
    }
    s->after = nodes[0];
    return CUDA_SUCCESS;
}

CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *found, CUgraph graph,
                                        CUcontext context, unsigned start, unsigned flags) {
    ENTER(true);
    if (graph == NULL || graph->gone || context == NULL || choice_count == MOST_CHOICES ||
        flags != CU_GRAPH_COND_ASSIGN_DEFAULT) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuGraphConditionalHandleCreate");
    }
    choices[choice_count] = (Choice){.graph = outermost(graph), .start = start};
    *found = ((uint64_t)0xC0DE << 32) + choice_count++;
    return CUDA_SUCCESS;
}

static int choice_of(CUgraphConditionalHandle handle) {
    uint64_t number = handle - ((uint64_t)0xC0DE << 32);
    if (number >= (uint64_t)choice_count) {
        fault(CUDA_ERROR_INVALID_VALUE, "%#lx is no choice", (unsigned long)handle);
        return -1;
    }
    return (int)number;
}

/* What `cudaGraphSetConditional` does in a kernel. */
void fake_choose(uint64_t handle, unsigned value) {
    int number = choice_of(handle);
    if (number >= 0) {
        choices[number].value = value;
    }
}

CUresult cuGraphAddNode(CUgraphNode *found, CUgraph graph, const CUgraphNode *nodes,
                        const CUgraphEdgeData *data, size_t count, CUgraphNodeParams *params) {
    ENTER(true);
    (void)data;
    if (graph == NULL || graph->gone || params->type != CU_GRAPH_NODE_TYPE_CONDITIONAL ||
        count != (graph->last != NULL) || (count && nodes[0] != graph->last)) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuGraphAddNode");
    }
    int number = choice_of(params->conditional.handle);
    bool again = params->conditional.type == CU_GRAPH_COND_TYPE_WHILE;
    if (number < 0 || params->conditional.size != 1 ||
        params->conditional.ctx == NULL || choices[number].graph != outermost(graph) ||
        (!again && params->conditional.type != CU_GRAPH_COND_TYPE_IF)) {
        return fault(CUDA_ERROR_INVALID_VALUE, "parameters of a conditional node");
    }
    if (choices[number].uses++) {
        return fault(CUDA_ERROR_INVALID_VALUE, "a choice of two nodes");
    }
    Op *made = calloc(1, sizeof *made);
    made->kind = CHOICE;
    made->graph = graph;
    made->choice = number;
    made->again = again;
    made->body = new_graph(graph);
    *(graph->last ? &graph->last->next : &graph->first) = made;
    graph->last = made;
    params->conditional.phGraph_out = &made->body;
    *found = made;
    return CUDA_SUCCESS;
}

static CUresult complete(CUgraph graph) {
    for (Op *op = graph->first; op; op = op->next) {
        if (op->kind == CHOICE && (op->body->recording || complete(op->body) != CUDA_SUCCESS)) {
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiate(CUgraphExec *found, CUgraph graph, unsigned long long flags) {
    ENTER(true);
    if (graph == NULL || graph->gone || graph->recording || flags ||
        complete(graph) != CUDA_SUCCESS) {
        return fault(CUDA_ERROR_INVALID_VALUE, "cuGraphInstantiate");
    }
    for (int k = 0; k < choice_count; k++) {
        if (choices[k].graph == graph && choices[k].uses != 1) {
            return fault(CUDA_ERROR_INVALID_VALUE, "a choice that no node has");
        }
    }
    *found = calloc(1, sizeof **found);
    (*found)->graph = graph;
    (*found)->device = current()->device;
    return CUDA_SUCCESS;
}

CUresult uses_of(CUstream s, const Op *op) {
    CUresult code = CUDA_SUCCESS;
    if (op->kind == COPY) {
        code = use(s, op->source, op->size, false);
        return code == CUDA_SUCCESS ? use(s, op->target, op->size, true) : code;
    }
    if (op->kind == LAUNCH) {
        for (unsigned k = 0; k < op->count && code == CUDA_SUCCESS; k++) {
            if (block_at(op->numbers[k])) {
                code = use(s, op->numbers[k], 1, false);
            }
        }
    }
    if (op->kind == CHOICE) {
        for (const Op *inner = op->body->first; inner && code == CUDA_SUCCESS; inner = inner->next) {
            code = uses_of(s, inner);
        }
    }
    return code;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream given) {
    ENTER(true);
    STREAM(given);
    if (exec == NULL || exec->gone || exec->device != s->device) {
        return fault(CUDA_ERROR_INVALID_HANDLE, "cuGraphLaunch of no graph of this device");
    }
    if (s->into) {
        return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "a graph inside of what is recorded");
    }
    for (const Op *op = exec->graph->first; op; op = op->next) {
        CUresult code = uses_of(s, op);
        if (code != CUDA_SUCCESS) {
            return code;
        }
    }
    return put(s, (Op){.kind = GRAPH, .exec = exec});
}

void start_choices(CUgraph graph) {
    for (int k = 0; k < choice_count; k++) {
        if (choices[k].graph == graph) {
            choices[k].value = choices[k].start;
        }
    }
}

void run_graph(CUgraph graph) {
    for (const Op *op = graph->first; op; op = op->next) {
        run_op(op);
    }
}

void run_choice(const Op *op) {
    int turns = 0;
    while (choices[op->choice].value) {
        run_graph(op->body);
        if (!op->again) {
            return;
        }
        if (++turns > 100000) {
            fault(CUDA_SUCCESS, "a loop of a graph without an end");
            return;
        }
    }
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
    ENTER(true);
    if (exec == NULL || exec->gone) {
        return fault(CUDA_ERROR_INVALID_HANDLE, "cuGraphExecDestroy of no graph");
    }
    exec->gone = true;
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
    ENTER(true);
    if (graph == NULL || graph->gone || graph->outer) {
        return fault(CUDA_ERROR_INVALID_HANDLE, "cuGraphDestroy of no graph of its caller's");
    }
    graph->gone = true;
    return CUDA_SUCCESS;
}
