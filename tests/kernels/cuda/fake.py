"""A driver without a GPU: memory in NumPy arrays, kernels run by the emulator, work in queues.

What a real one leaves undefined, or answers by an error much later, is an error at once: memory
that was given back, kernels without memory, waiting while a stream records.
"""

import ctypes

import numpy as np

from funcgrad.kernels.cuda.adapter import Cubin
from funcgrad.kernels.cuda.custom import CustomLaunch
from funcgrad.kernels.cuda.emulated import seen
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.limits import PLAIN
from funcgrad.kernels.cuda.runtime.driver import CudaError, DeviceMemoryError, Info
from funcgrad.kernels.cuda.runtime.neighbours import MOST_PITCH
from funcgrad.kernels.cuda.runtime.place import Place
from funcgrad.kernels.cuda.threads import run_threads
from funcgrad.kernels.cuda.words import memory_type

POISON = 0xA5
H200 = Info("Fake H200", (9, 0), 132, 1 << 30)


class Recorded(list):
    """Work; `waiting`: of each device, how often its graph was launched before the others'."""

    def __init__(self):
        self.waiting = {}


class FakeDriver:
    """Attributes: `log`: what was asked for, in order; `waits`: how often the host waited."""

    def __init__(self, count=1, memory=1 << 30, aligned=True, decides=True):
        self.infos = [H200._replace(memory=memory)] * count
        self.memory = {}
        self.next = 1 << 20
        self.log = []
        self.waits = 0
        self.queue = []
        self.started = set()
        # What the streams of some devices record, in order, and which devices they are.
        self.recording = None
        self.recorders = set()
        self.kernels = {}
        self.allowed = {}
        self.free_bytes = memory
        self.aligned = aligned
        self.graphs = 0
        self.can_decide = decides
        # Of the work that is recorded: what is open inside, by stream, and the choices made.
        self.opened = []
        self.pins = {}
        self.choices = {}
        # Work that other libraries have put into streams of theirs.
        self.streams = {1: [], 2: []}
        self.current = 0
        self.whose = {}
        self.failing = set()
        # Pairs of devices of which the second may reach the first one's memory.
        self.shared = set()

    def compile(self, program, kernels, target):
        """Instead of machine code, the numbers of kernels' texts."""
        return [self._compile(program, kernel, target) for kernel in kernels]

    def _compile(self, program, kernel, target):
        number = len(self.kernels)
        block = program.block
        sizes = [block.root(b) for b in kernel.params]
        kinds = [np.dtype(getattr(np, memory_type(b.dtype))) for b in kernel.params]
        text = program.module_of(kernel)
        self.kernels[number] = (
            kernel,
            text,
            [(b.size, k) for b, k in zip(sizes, kinds, strict=True)],
        )
        self.log.append(("compile", kernel.name, target))
        return Cubin(str(number).encode(), "", kernel.name, 0, 0, 0)

    def devices(self):
        return self.infos

    def use(self, device):
        self.current = device

    def stream(self):
        # One queue does for the streams of all devices here.
        return 100

    def is_idle(self, stream):
        return not self.queue

    def address_of(self, stream):
        return stream

    def follow(self, later, earlier):
        if self.recording is not None:
            raise CudaError("another stream is waited for while one records")
        self.log.append(("follow", later, earlier))
        if later == earlier:
            return
        if later == 100:
            queue = self.streams[earlier]
            count = len(queue)
            done = [False]

            def behind():
                if not done[0]:
                    done[0] = True
                    for work in [queue.pop(0) for _ in range(min(count, len(queue)))]:
                        work()

            self.queue.append(behind)
        else:
            self.streams[later].append(self.now)

    def device_of(self, address):
        for start, memory in self.memory.items():
            if start <= address < start + max(memory.size, 1):
                return self.whose[start]
        raise CudaError("CUDA_ERROR_INVALID_VALUE")

    def run(self, stream):
        """Do the work of another library's stream."""
        queue, self.streams[stream] = self.streams[stream], []
        for work in queue:
            work()

    def now(self):
        """Do what waits in the queue."""
        if self.started:
            raise CudaError("waiting for ranks whose graphs are not all launched")
        queue, self.queue = self.queue, []
        for work in queue:
            work()

    def put(self, work, stream=100):
        if self.recording is None:
            assert stream == 100
            self.queue.append(work)
            return
        if self.current not in self.recorders:
            raise CudaError("work for a device that does not record, while another one does")
        innermost = self.opened[-1][0] if self.opened else 100
        if stream != innermost:
            raise CudaError("work for a stream while another one records what is inside")
        (self.opened[-1][1] if self.opened else self.recording).append(work)

    def wait(self, stream):
        if self.recording is not None:
            raise CudaError("waiting while a stream records")
        self.waits += 1
        self.now()

    def allocate(self, size, stream):
        if self.recording is not None:
            raise CudaError("allocation while a stream records")
        if size > self.free_bytes:
            raise DeviceMemoryError("CUDA_ERROR_OUT_OF_MEMORY")
        address, self.next = self.next, self.next + -(-size // 512) * 512 + 4096
        self.memory[address] = np.full(size, POISON, np.uint8)
        self.whose[address] = self.current
        self.free_bytes -= size
        self.log.append(("allocate", size))
        return address

    def free(self, address, stream):
        def work():
            self.free_bytes += self.memory.pop(address).size

        # What was asked for before may still use it.
        self.put(work)
        self.log.append(("free", address))

    def room(self):
        self.now()
        return self.free_bytes, self.infos[0].memory

    def at(self, address, size):
        """The bytes from an address on."""
        for start, memory in self.memory.items():
            if start <= address < start + max(memory.size, 1):
                offset = address - start
                if offset + size > memory.size:
                    raise CudaError(f"{size} bytes at {address} reach beyond their block")
                return memory[offset : offset + size]
        raise CudaError(f"{address} is not in memory that was allocated")

    def pinned(self, size):
        found = np.full(size, POISON, np.uint8)
        self.pins[found.ctypes.data] = found
        self.log.append(("pinned", size))
        return found.ctypes.data

    def unpinned(self, address):
        del self.pins[address]

    def is_pinned(self, address, size):
        return any(
            start <= address and address + size <= start + m.size for start, m in self.pins.items()
        )

    def upload(self, target, source, size, stream):
        def late():
            self.at(target, size)[:] = np.frombuffer(ctypes.string_at(source, size), np.uint8)

        if self.is_pinned(source, size):
            # A device reads pinned memory when the stream gets so far.
            if self.recording is not None:
                raise CudaError("the host's memory while a stream records")
            self.put(late)
            self.log.append(("upload", size))
            return
        data = np.frombuffer(ctypes.string_at(source, size), np.uint8)
        if self.recording is not None:
            raise CudaError("the host's memory while a stream records")
        self.put(lambda: self.at(target, size).__setitem__(slice(None), data))
        self.log.append(("upload", size))

    def download(self, target, source, size, stream):
        if self.recording is not None:
            raise CudaError("reading while a stream records")
        self.log.append(("download", size))
        if not self.is_pinned(target, size):
            # The driver waits itself.
            self.waits += 1
            self.now()
        self.put(lambda: ctypes.memmove(target, self.at(source, size).tobytes(), size))

    def copy(self, target, source, size, stream):
        def work():
            self.at(target, size)[:] = self.at(source, size).copy()

        self.put(work, stream)
        self.log.append(("copy", size))

    def bring(self, target, source, rows, device, stream):
        assert self.device_of(source) == device and self.device_of(target) == self.current
        if self.recording is not None:
            raise CudaError("memory of another device while a stream records")
        assert device == self.current or (device, self.current) in self.shared

        def sides():
            return (
                self.rows(address, rows.extent, side)
                for address, side in ((target, rows.target), (source, rows.source))
            )

        def work():
            into, of = sides()
            into[:] = of

        self.put(work, stream)
        self.log.append(("bring", int(np.prod(rows.extent)), device, self.current))

    def rows(self, address, extent, side):
        """The bytes that a copy of rows touches, all of them within one block."""
        (width, height, depth), (start, pitch, planes) = extent, side
        assert width <= pitch <= MOST_PITCH and height <= planes and min(extent) > 0
        size = (depth - 1) * planes * pitch + (height - 1) * pitch + width
        steps = (planes * pitch, pitch, 1)
        found = self.at(address + start, size)
        return np.lib.stride_tricks.as_strided(found, (depth, height, width), steps)

    def share(self, devices):
        self.shared |= {(a, b) for a in devices for b in devices if a != b}
        self.log.append(("share", *devices))

    def reaches(self, device, other):
        return True

    def load(self, code, entry, shared=0):
        if self.recording is not None:
            raise CudaError("a kernel is loaded while a stream records")
        if shared > 227 << 10:
            raise CudaError(f"{shared} bytes of shared memory")
        if entry.startswith("fg_decide"):
            return entry
        self.allowed[int(code)] = shared or PLAIN
        return int(code)

    def launch(self, handle, grid, pointers, stream):
        blocks, threads, shared = grid
        if isinstance(handle, str):
            self.decide(handle, pointers, stream)
            return
        kernel, text, params = self.kernels[handle]
        if shared > self.allowed[handle]:
            raise CudaError(f"{shared} bytes of shared memory, {self.allowed[handle]} allowed")
        if isinstance(kernel.launch, CustomLaunch):
            self.put(lambda: self.custom(kernel.launch, blocks, threads, list(pointers)), stream)
            self.log.append(("launch", kernel.name))
            return
        if kernel.name in self.failing:
            raise CudaError("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")
        assert blocks and threads <= 1024 and len(params) == len(pointers)

        def work():
            # One array for one address, as large as the largest of those that begin there.
            sizes = {}
            for p, (n, kind) in zip(pointers, params, strict=True):
                sizes[p, kind] = max(n, sizes.get((p, kind), 0))
            known = {(p, k): self.at(p, n * k.itemsize).view(k) for (p, k), n in sizes.items()}
            arrays = [known[p, kind] for p, (_, kind) in zip(pointers, params, strict=True)]
            aligned = self.aligned and not any(p % 16 for p in pointers)
            Emulator(text, aligned).launch(kernel.name, blocks, threads, arrays, shared)

        self.put(work, stream)
        self.log.append(("launch", kernel.name))

    def custom(self, launch, blocks, threads, numbers):
        """A user's kernel, called with what numba.cuda knows of arrays."""
        arrays = []
        for k, (shape, dtype) in enumerate(launch.arrays):
            own, numbers = numbers[: 5 + 2 * len(shape)], numbers[5 + 2 * len(shape) :]
            count = int(np.prod(shape))
            assert own[:4] == [0, 0, count, dtype.itemsize] and own[5 : 5 + len(shape)] == [*shape]
            found = self.at(own[4], count * dtype.itemsize).view(dtype).reshape(shape)
            assert list(found.strides) == own[5 + len(shape) :] or not count
            arrays.append(seen(found, k < launch.reads))
        assert not numbers
        run_threads(launch.function.function, blocks, threads, arrays)

    def event(self, stream):
        if self.recording is not None:
            raise CudaError("an event of its own while a stream records")
        mark = {"done": False}
        self.put(lambda: mark.update(done=True))
        return mark

    def wait_for(self, event):
        self.waits += 1
        self.now()
        assert event["done"]

    def is_done(self, event):
        return event["done"]

    def drop(self, event):
        pass

    def record(self, stream):
        assert self.current not in self.recorders and not self.opened
        if self.recording is None:
            self.recording = Recorded()
        assert not self.recording, "another device begins to record amid the work of one"
        self.recorders.add(self.current)
        self.log.append(("record",))

    def recorded(self, stream):
        if self.opened:
            raise CudaError("the end of what is recorded, before the end of what is inside")
        for choice in self.choices.values():
            if choice["uses"] != 1:
                raise CudaError(f"a choice with {choice['uses']} nodes")
        work, device = self.recording, self.current
        self._stop()
        work.waiting[device] = 0
        self.choices = {}
        self.graphs += 1
        return work, device

    def abandon(self, stream):
        assert not self.opened
        self._stop()
        self.choices = {}

    def _stop(self):
        self.recorders.remove(self.current)
        if not self.recorders:
            self.recording = None

    def decides(self):
        return self.can_decide

    def decision(self, stream):
        if self.recording is None:
            raise CudaError("a choice outside of what is recorded")
        number = (1 << 40) + len(self.choices)
        self.choices[number] = {"uses": 0, "value": None}
        return number

    def decide(self, entry, numbers, stream):
        """What the kernels that set choices do."""
        if self.recording is None:
            raise CudaError("a choice is set outside of what is recorded")
        number, address, *rest = numbers
        choice = self.choices[number]
        size = 1 if not rest else int(entry.rpartition("_")[2])

        def work():
            found = int(self.at(address, size).view(f"i{size}")[0])
            if rest:
                case, last = rest
                found = min(max(found, 0), last) == case
            choice["value"] = bool(found)

        self.put(work, stream)

    def inside(self, decision, again, stream):
        choice = self.choices[decision]
        choice["uses"] += 1
        body = []

        def taken():
            value, choice["value"] = choice["value"], None
            if value is None:
                raise CudaError("a node whose choice nobody has set")
            return value

        def work():
            while taken():
                for inner in body:
                    inner()
                if not again:
                    break

        self.put(work, stream)
        self.opened.append((stream + 1, body))
        self.log.append(("while" if again else "if",))
        return stream + 1

    def leave(self, inner):
        stream, _ = self.opened.pop()
        assert stream == inner

    def replay(self, graph, stream):
        assert self.recording is None
        work, device = graph
        assert device == self.current
        # Ranks meet inside: it is done when the graphs of all devices were launched.
        work.waiting[device] += 1
        if all(work.waiting.values()):
            assert set(work.waiting.values()) == {1}, "a graph goes before its neighbours"
            work.waiting = dict.fromkeys(work.waiting, 0)
            self.queue += work
        self.started = {id(work)} if any(work.waiting.values()) else set()
        self.log.append(("replay",))

    def forget(self, graph):
        self.graphs -= 1


def places_of(driver):
    """A place for each device of a driver."""
    infos = driver.devices()
    return [Place(driver, k, info, driver.compile) for k, info in enumerate(infos)]
