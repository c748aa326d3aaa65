"""The text of the thread pool: what its threads run, in LLVM's language.

One job runs at a time. Its state is one block of memory, written by whoever holds `lock`:

    lock       1 while a job runs
    epoch      grows by one with every job
    remaining  by range: chunks nobody has claimed; a claim takes one off while there is one
    done       chunks the workers have finished
    kernel, args, extent, grain, chunks, ranges   the job; read only by who holds a claim
    sleepers   workers that wait for the semaphore
    stop, workers

The idea: a claim comes before anything else of the job is read. While a claimed chunk is not done
the job cannot end, so what is read after the claim belongs to it; and a worker that has claimed
nothing is nobody's concern, so the caller never waits for it. The chunks are dealt into as many
ranges as there are threads, up to eight, and a thread claims from its own range first: of a buffer
that one job writes and the next one reads, it then finds most in its own cache.
"""

from __future__ import annotations

RANGES = 8
# A line of cache for each group of fields that are written together; two, since some processors
# fetch lines in pairs.
LINE = 128
LOCK, EPOCH, DONE, JOB, SLEEPERS, STOP, SEMAPHORE, REMAINING = (LINE * i for i in range(8))
WORKERS = STOP + 8
SIZE = REMAINING + LINE * RANGES

# Nanoseconds a worker spins for a job before it sleeps; pauses between two looks at the clock.
SPIN_TIME, SPIN_PAUSES = 200_000, 64
# A caller whose last chunks are still running elsewhere spins, then yields, then sleeps.
WAIT_PAUSES, WAIT_YIELDS, WAIT_MICROSECONDS = 2_000, 200, 50

PAUSES = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}

# POSIX semaphores live in the block; those of macOS are objects, and the block holds the pointer.
POSIX = """
declare i32 @sem_wait(ptr)
declare i32 @sem_post(ptr)
define internal void @sleep(ptr %pool) nounwind {
entry:
  %s = getelementptr i8, ptr %pool, i64 {semaphore}
  br label %wait
wait:
  %r = call i32 @sem_wait(ptr %s)
  %interrupted = icmp ne i32 %r, 0
  br i1 %interrupted, label %wait, label %awake
awake:
  ret void
}
define internal void @rouse(ptr %pool) nounwind {
  %s = getelementptr i8, ptr %pool, i64 {semaphore}
  %r = call i32 @sem_post(ptr %s)
  ret void
}
"""
DISPATCH = """
declare i64 @dispatch_semaphore_wait(ptr, i64)
declare i64 @dispatch_semaphore_signal(ptr)
define internal void @sleep(ptr %pool) nounwind {
  %p = getelementptr i8, ptr %pool, i64 {semaphore}
  %s = load ptr, ptr %p, align 8
  %r = call i64 @dispatch_semaphore_wait(ptr %s, i64 -1)
  ret void
}
define internal void @rouse(ptr %pool) nounwind {
  %p = getelementptr i8, ptr %pool, i64 {semaphore}
  %s = load ptr, ptr %p, align 8
  %r = call i64 @dispatch_semaphore_signal(ptr %s)
  ret void
}
"""

TEXT = """
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_yield()
declare i32 @usleep(i32)

; Nanoseconds of a clock that never goes back.
define internal i64 @now() nounwind {
  %t = alloca { i64, i64 }, align 8
  %r = call i32 @clock_gettime(i32 {clock}, ptr %t)
  %seconds = load i64, ptr %t, align 8
  %p = getelementptr { i64, i64 }, ptr %t, i32 0, i32 1
  %rest = load i64, ptr %p, align 8
  %n = mul i64 %seconds, 1000000000
  %sum = add i64 %n, %rest
  ret i64 %sum
}

; Wakes at most two sleepers: each of these wakes two more, so that no one wakes them all.
define internal void @wake(ptr %pool, i64 %work) nounwind {
entry:
  %p = getelementptr i8, ptr %pool, i64 {sleepers}
  %least = call i64 @llvm.smin.i64(i64 %work, i64 2)
  br label %next
next:
  %left = phi i64 [ %least, %entry ], [ %left, %lost ], [ %fewer, %taken ]
  %sleeping = load atomic i64, ptr %p seq_cst, align 8
  %some = icmp sgt i64 %sleeping, 0
  %more = icmp sgt i64 %left, 0
  %go = and i1 %some, %more
  br i1 %go, label %take, label %end
take:
  %rest = sub i64 %sleeping, 1
  %x = cmpxchg ptr %p, i64 %sleeping, i64 %rest seq_cst seq_cst
  %won = extractvalue { i64, i1 } %x, 1
  br i1 %won, label %taken, label %lost
lost:
  br label %next
taken:
  call void @rouse(ptr %pool)
  %fewer = sub i64 %left, 1
  br label %next
end:
  ret void
}
declare i64 @llvm.smin.i64(i64, i64)

; Claims and runs chunks until none is left, from range %home on; returns how many.
define internal i64 @run(ptr %pool, i64 %home) nounwind {
entry:
  %ranges = getelementptr i8, ptr %pool, i64 {remaining}
  %job = getelementptr i8, ptr %pool, i64 {job}
  %pargs = getelementptr i64, ptr %job, i64 1
  %pextent = getelementptr i64, ptr %job, i64 2
  %pgrain = getelementptr i64, ptr %job, i64 3
  %pchunks = getelementptr i64, ptr %job, i64 4
  %pshares = getelementptr i64, ptr %job, i64 5
  br label %range
range:
  %step = phi i64 [ 0, %entry ], [ %step1, %empty ]
  %before = phi i64 [ 0, %entry ], [ %count, %empty ]
  %place = add i64 %home, %step
  %r = urem i64 %place, {ranges}
  %at = mul i64 %r, {line}
  %p = getelementptr i8, ptr %ranges, i64 %at
  br label %next
next:
  %count = phi i64 [ %before, %range ], [ %count, %claim ], [ %counted, %won ]
  %left = load atomic i64, ptr %p acquire, align 8
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %claim, label %empty
claim:
  %rest = sub i64 %left, 1
  %x = cmpxchg ptr %p, i64 %left, i64 %rest acq_rel monotonic
  %mine = extractvalue { i64, i1 } %x, 1
  br i1 %mine, label %won, label %next
won:
  %kernel = load ptr, ptr %job, align 8
  %args = load ptr, ptr %pargs, align 8
  %extent = load i64, ptr %pextent, align 8
  %grain = load i64, ptr %pgrain, align 8
  %chunks = load i64, ptr %pchunks, align 8
  %shares = load i64, ptr %pshares, align 8
  %r1 = add i64 %r, 1
  %end = call i64 @bound(i64 %r1, i64 %chunks, i64 %shares)
  %c = sub i64 %end, %left
  %lo = mul i64 %c, %grain
  %space = sub i64 %extent, %lo
  %length = call i64 @llvm.smin.i64(i64 %space, i64 %grain)
  %hi = add i64 %lo, %length
  call void %kernel(ptr %args, i64 %lo, i64 %hi)
  %counted = add i64 %count, 1
  br label %next
empty:
  %step1 = add i64 %step, 1
  %on = icmp slt i64 %step1, {ranges}
  br i1 %on, label %range, label %all
all:
  ret i64 %count
}

; The first chunk of range %r of %shares.
define internal i64 @bound(i64 %r, i64 %chunks, i64 %shares) alwaysinline nounwind {
  %quotient = udiv i64 %chunks, %shares
  %remainder = urem i64 %chunks, %shares
  %extra = call i64 @llvm.smin.i64(i64 %r, i64 %remainder)
  %whole = mul i64 %r, %quotient
  %first = add i64 %whole, %extra
  ret i64 %first
}

; How many ranges have chunks that nobody has claimed.
define internal i64 @open(ptr %pool) nounwind {
entry:
  %ranges = getelementptr i8, ptr %pool, i64 {remaining}
  br label %range
range:
  %r = phi i64 [ 0, %entry ], [ %r1, %range ]
  %count = phi i64 [ 0, %entry ], [ %counted, %range ]
  %at = mul i64 %r, {line}
  %p = getelementptr i8, ptr %ranges, i64 %at
  %left = load atomic i64, ptr %p monotonic, align 8
  %some = icmp sgt i64 %left, 0
  %one = zext i1 %some to i64
  %counted = add i64 %count, %one
  %r1 = add i64 %r, 1
  %on = icmp slt i64 %r1, {ranges}
  br i1 %on, label %range, label %all
all:
  ret i64 %counted
}

; What worker thread %id does until the pool stops.
define void @fg_worker(ptr %pool, i64 %id) nounwind {
entry:
  %pepoch = getelementptr i8, ptr %pool, i64 {epoch}
  %pdone = getelementptr i8, ptr %pool, i64 {done}
  %psleepers = getelementptr i8, ptr %pool, i64 {sleepers}
  %pstop = getelementptr i8, ptr %pool, i64 {stop}
  br label %work
work:
  %over = load atomic i64, ptr %pstop seq_cst, align 8
  %stopped = icmp ne i64 %over, 0
  br i1 %stopped, label %end, label %claims
claims:
  ; Read first: a job that is published during the search for chunks makes another search.
  %seen = load atomic i64, ptr %pepoch seq_cst, align 8
  %ran = call i64 @run(ptr %pool, i64 %id)
  %idle = icmp eq i64 %ran, 0
  br i1 %idle, label %spin, label %report
report:
  %d = atomicrmw add ptr %pdone, i64 %ran acq_rel
  br label %spin
spin:
  %start = call i64 @now()
  br label %round
round:
  br label %pause
pause:
  %n = phi i64 [ 0, %round ], [ %n1, %again ]
  {pause}
  %epoch = load atomic i64, ptr %pepoch monotonic, align 8
  %fresh = icmp ne i64 %epoch, %seen
  br i1 %fresh, label %work, label %again
again:
  %n1 = add i64 %n, 1
  %enough = icmp eq i64 %n1, {spin_pauses}
  br i1 %enough, label %look, label %pause
look:
  %flag = load atomic i64, ptr %pstop acquire, align 8
  %stopping = icmp ne i64 %flag, 0
  br i1 %stopping, label %end, label %timed
timed:
  %time = call i64 @now()
  %spun = sub i64 %time, %start
  %late = icmp sgt i64 %spun, {spin_time}
  br i1 %late, label %announce, label %round
announce:
  ; Either this sees the new job, or who publishes it sees this sleeper.
  %s0 = atomicrmw add ptr %psleepers, i64 1 seq_cst
  %now_epoch = load atomic i64, ptr %pepoch seq_cst, align 8
  %now_flag = load atomic i64, ptr %pstop seq_cst, align 8
  %job = icmp ne i64 %now_epoch, %seen
  %ends = icmp ne i64 %now_flag, 0
  %stay = or i1 %job, %ends
  br i1 %stay, label %withdraw, label %asleep
withdraw:
  %s = load atomic i64, ptr %psleepers seq_cst, align 8
  %there = icmp sgt i64 %s, 0
  ; Where there is no sleeper any more, someone is about to wake this one: the wake is taken.
  br i1 %there, label %lower, label %asleep
lower:
  %s1 = sub i64 %s, 1
  %x = cmpxchg ptr %psleepers, i64 %s, i64 %s1 seq_cst seq_cst
  %gone = extractvalue { i64, i1 } %x, 1
  br i1 %gone, label %work, label %withdraw
asleep:
  call void @sleep(ptr %pool)
  %found = call i64 @open(ptr %pool)
  call void @wake(ptr %pool, i64 %found)
  br label %work
end:
  ret void
}

; Tells the workers to return, and wakes those that sleep.
define void @fg_stop(ptr %pool) nounwind {
entry:
  %pstop = getelementptr i8, ptr %pool, i64 {stop}
  %psleepers = getelementptr i8, ptr %pool, i64 {sleepers}
  store atomic i64 1, ptr %pstop seq_cst, align 8
  br label %next
next:
  %s = load atomic i64, ptr %psleepers seq_cst, align 8
  %some = icmp sgt i64 %s, 0
  br i1 %some, label %more, label %end
more:
  call void @wake(ptr %pool, i64 2)
  br label %next
end:
  ret void
}

; All chunks in this thread: the same partition, in the same order.
define internal void @serial(ptr %kernel, ptr %args, i64 %extent, i64 %grain) nounwind {
entry:
  br label %loop
loop:
  %lo = phi i64 [ 0, %entry ], [ %hi, %loop ]
  %space = sub i64 %extent, %lo
  %length = call i64 @llvm.smin.i64(i64 %space, i64 %grain)
  %hi = add i64 %lo, %length
  call void %kernel(ptr %args, i64 %lo, i64 %hi)
  %more = icmp slt i64 %hi, %extent
  br i1 %more, label %loop, label %end
end:
  ret void
}

; Runs kernel(args, lo, hi) for the chunks of [0, extent), by as many threads as are free.
define void @fg_parallel_for(ptr %pool, ptr %kernel, ptr %args, i64 %extent, i64 %grain) nounwind {
entry:
  %none = icmp slt i64 %extent, 1
  br i1 %none, label %end, label %some
some:
  %no_grain = icmp slt i64 %grain, 1
  %g = select i1 %no_grain, i64 %extent, i64 %grain
  %e1 = sub i64 %extent, 1
  %c1 = udiv i64 %e1, %g
  %chunks = add i64 %c1, 1
  %single = icmp eq i64 %chunks, 1
  br i1 %single, label %alone, label %several
several:
  %pworkers = getelementptr i8, ptr %pool, i64 {workers}
  %workers = load atomic i64, ptr %pworkers monotonic, align 8
  %no_workers = icmp slt i64 %workers, 1
  br i1 %no_workers, label %alone, label %lock
lock:
  ; Held by another thread, or by the job that this call is a part of.
  %plock = getelementptr i8, ptr %pool, i64 {lock}
  %x = cmpxchg ptr %plock, i64 0, i64 1 acquire monotonic
  %free = extractvalue { i64, i1 } %x, 1
  br i1 %free, label %publish, label %alone
alone:
  call void @serial(ptr %kernel, ptr %args, i64 %extent, i64 %g)
  ret void
publish:
  %job = getelementptr i8, ptr %pool, i64 {job}
  %pargs = getelementptr i64, ptr %job, i64 1
  %pextent = getelementptr i64, ptr %job, i64 2
  %pgrain = getelementptr i64, ptr %job, i64 3
  %pchunks = getelementptr i64, ptr %job, i64 4
  %pshares = getelementptr i64, ptr %job, i64 5
  %pdone = getelementptr i8, ptr %pool, i64 {done}
  %pepoch = getelementptr i8, ptr %pool, i64 {epoch}
  %ranges = getelementptr i8, ptr %pool, i64 {remaining}
  %threads = add i64 %workers, 1
  %shares = call i64 @llvm.smin.i64(i64 %threads, i64 {ranges})
  store i64 %shares, ptr %pshares, align 8
  store ptr %kernel, ptr %job, align 8
  store ptr %args, ptr %pargs, align 8
  store i64 %extent, ptr %pextent, align 8
  store i64 %g, ptr %pgrain, align 8
  store i64 %chunks, ptr %pchunks, align 8
  store atomic i64 0, ptr %pdone monotonic, align 8
  br label %range
range:
  %r = phi i64 [ 0, %publish ], [ %r1, %range ]
  %begin = phi i64 [ 0, %publish ], [ %after, %range ]
  %r1 = add i64 %r, 1
  %after = call i64 @bound(i64 %r1, i64 %chunks, i64 %shares)
  %share = sub i64 %after, %begin
  %at = mul i64 %r, {line}
  %p = getelementptr i8, ptr %ranges, i64 %at
  store atomic i64 %share, ptr %p release, align 8
  %on = icmp slt i64 %r1, %shares
  br i1 %on, label %range, label %published
published:
  %e = atomicrmw add ptr %pepoch, i64 1 seq_cst
  call void @wake(ptr %pool, i64 %c1)
  %ran = call i64 @run(ptr %pool, i64 0)
  %theirs = sub i64 %chunks, %ran
  br label %join
join:
  %n = phi i64 [ 0, %published ], [ %n1, %waited ]
  %done = load atomic i64, ptr %pdone acquire, align 8
  %all = icmp eq i64 %done, %theirs
  br i1 %all, label %joined, label %wait
wait:
  %n1 = add i64 %n, 1
  %short = icmp slt i64 %n, {wait_pauses}
  br i1 %short, label %spin, label %longer
spin:
  {pause}
  br label %waited
longer:
  %yielding = icmp slt i64 %n, {wait_all}
  br i1 %yielding, label %yield, label %nap
yield:
  %yielded = call i32 @sched_yield()
  br label %waited
nap:
  %napped = call i32 @usleep(i32 {wait_microseconds})
  br label %waited
waited:
  br label %join
joined:
  store atomic i64 0, ptr %plock release, align 8
  br label %end
end:
  ret void
}
"""


def pool_text(architecture: str, *, darwin: bool) -> str:
    """The module with `fg_parallel_for`, `fg_worker` and `fg_stop`.

    Args:
        architecture: the first part of the triple.
        darwin: whether the system is macOS.
    """
    declared, pause = PAUSES.get(architecture, ("", "fence acq_rel"))
    text = declared + (DISPATCH if darwin else POSIX) + TEXT
    values = {
        "lock": LOCK,
        "epoch": EPOCH,
        "line": LINE,
        "ranges": RANGES,
        "remaining": REMAINING,
        "done": DONE,
        "job": JOB,
        "sleepers": SLEEPERS,
        "stop": STOP,
        "workers": WORKERS,
        "semaphore": SEMAPHORE,
        "clock": 6 if darwin else 1,
        "pause": pause,
        "spin_time": SPIN_TIME,
        "spin_pauses": SPIN_PAUSES,
        "wait_pauses": WAIT_PAUSES,
        "wait_all": WAIT_PAUSES + WAIT_YIELDS,
        "wait_microseconds": WAIT_MICROSECONDS,
    }
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
