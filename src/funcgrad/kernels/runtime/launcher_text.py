"""The text of the launcher: what is done in LLVM's language for each argument and result of a call.

In: where Python and NumPy keep the fields of arrays. Out: the text of two functions, `fg_launch`
and `fg_method`. The one idea: objects are read by the offsets of their fields, which costs a few
loads, and made by the C API.
"""

from __future__ import annotations

from collections.abc import Mapping

from .launcher_inputs import COLLECT, NARROW, NARROWED

# What the code calls for: functions of Python and of NumPy's C API, and objects it looks for.
_OUTSIDE = """
@fg_array = external global i8
@fg_ndarray = external global i8
@fg_true = external global i8
declare ptr @PyList_New(i64)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyArray_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
"""

# ndarray: data at 16, rank at 24, shape at 32, dtype at 56, flags at 64; bit 0: C-contiguous, bit
# 8: aligned, bit 10: writeable. A number begins at 16. A tuple's items begin where its fixed
# part ends, which is later since tuples keep their hash; a list has the address of its items at 24.
# The plan: program, its table, the first slot of an input, the number of inputs, of outputs, memory
# for numbers that are converted, the forms of the outputs, a place for the code, a table of
# memory for arrays that are converted, which is empty until there is one, and, if the method is to
# let go of the GIL, room for what it holds meanwhile.
_FIELDS = """
  %program = load ptr, ptr %plan
  %table.at = getelementptr i8, ptr %plan, i64 8
  %table = load ptr, ptr %table.at
  %first.at = getelementptr i8, ptr %plan, i64 16
  %first = load ptr, ptr %first.at
  %count.at = getelementptr i8, ptr %plan, i64 24
  %count = load i64, ptr %count.at
  %outs.at = getelementptr i8, ptr %plan, i64 32
  %outs = load i64, ptr %outs.at
  %results = getelementptr ptr, ptr %first, i64 %count
"""

# Runs a program on ndarrays, into a list of ndarrays, which come out read-only. Gives what
# `fg_collect` or the program gave.
_LAUNCH = """
define i64 @fg_launch(ptr %plan, ptr %inputs, ptr %outputs) {
entry:
  %found = call i64 @fg_collect(ptr %plan, ptr %inputs, ptr null)
  %fine = icmp eq i64 %found, 0
  br i1 %fine, label %open, label %unfit
unfit:
  ret i64 %found
open:{fields}  %targets.at = getelementptr i8, ptr %outputs, i64 24
  %targets = load ptr, ptr %targets.at
  br label %output
output:
  %j = phi i64 [ 0, %open ], [ %j1, %give ]
  %left = icmp slt i64 %j, %outs
  br i1 %left, label %give, label %run
give:
  %target.at = getelementptr ptr, ptr %targets, i64 %j
  %target = load ptr, ptr %target.at
  %room.at = getelementptr i8, ptr %target, i64 16
  %room = load ptr, ptr %room.at
  %result = getelementptr ptr, ptr %results, i64 %j
  store ptr %room, ptr %result
  %set.at = getelementptr i8, ptr %target, i64 64
  %set = load i32, ptr %set.at
  %read.only = and i32 %set, -1025
  store i32 %read.only, ptr %set.at
  %j1 = add i64 %j, 1
  br label %output
run:
  %code = call i32 %program(ptr %table)
  %wide = sext i32 %code to i64
  ret i64 %wide
}
"""

# A method of a bytes object that holds the plan, called as `method(inputs, avals, wanted)` with two
# tuples and a bytes object: makes the results, Arrays of these avals, and runs the program on the
# inputs, if they are what the bytes say is wanted. Gives a list of results, or the inputs if they
# do not fit; then the plan's place for the code says why. Memory of large results is Python's to
# give, by a function of their form.
# Making an object may run whatever a garbage collection runs, and without the GIL anybody may take
# an Array its memory. So of a short program the results are made before the inputs are looked at;
# a longer one holds the memory that it found.
_METHOD = """
define ptr @fg_method(ptr %self, ptr %args, i64 %size) {
entry:
  %plan = getelementptr i8, ptr %self, i64 32
  %inputs = load ptr, ptr %args
  %given.at = getelementptr i8, ptr %args, i64 8
  %given = load ptr, ptr %given.at
  %given.items = getelementptr i8, ptr %given, i64 {items}
  %records.at = getelementptr i8, ptr %args, i64 16
  %records = load ptr, ptr %records.at
  %wanted = getelementptr i8, ptr %records, i64 32{fields}
  %forms.at = getelementptr i8, ptr %plan, i64 48
  %forms = load ptr, ptr %forms.at
  %held.at = getelementptr i8, ptr %plan, i64 72
  %held = load ptr, ptr %held.at
  %is.short = icmp eq ptr %held, null
  br i1 %is.short, label %begin, label %look
look:
  %seen = call i64 @fg_collect(ptr %plan, ptr %inputs, ptr %wanted)
  %fits = icmp eq i64 %seen, 0
  br i1 %fits, label %hold.all, label %give.back
hold.all:
  call void @fg_hold(ptr %inputs, i64 %count, ptr %held)
  br label %begin
begin:
  %list = call ptr @PyList_New(i64 %outs)
  %no.list = icmp eq ptr %list, null
  br i1 %no.list, label %no.memory, label %open
open:
  %targets.at = getelementptr i8, ptr %list, i64 24
  %targets = load ptr, ptr %targets.at
  br label %output
output:
  %j = phi i64 [ 0, %open ], [ %j1, %wrap ]
  %left = icmp slt i64 %j, %outs
  br i1 %left, label %make, label %collect
make:
  %form = getelementptr [4 x i64], ptr %forms, i64 %j
  %maker.at = getelementptr i8, ptr %form, i64 24
  %maker = load ptr, ptr %maker.at
  %is.small = icmp eq ptr %maker, null
  br i1 %is.small, label %make.small, label %make.large
make.large:
  %large = call ptr @PyObject_CallNoArgs(ptr %maker)
  br label %made
make.small:
  %type = load ptr, ptr %form
  %rank.at = getelementptr i8, ptr %form, i64 8
  %rank = load i32, ptr %rank.at
  %shape.at = getelementptr i8, ptr %form, i64 16
  %shape = load ptr, ptr %shape.at
  call void @Py_IncRef(ptr %type)
  %small = call ptr @PyArray_NewFromDescr(ptr @fg_ndarray, ptr %type, i32 %rank, ptr %shape,
                                          ptr null, ptr null, i32 0, ptr null)
  br label %made
made:
  %array = phi ptr [ %small, %make.small ], [ %large, %make.large ]
  %no.array = icmp eq ptr %array, null
  br i1 %no.array, label %drop, label %hold
hold:
  %set.at = getelementptr i8, ptr %array, i64 64
  %set = load i32, ptr %set.at
  %read.only = and i32 %set, -1025
  store i32 %read.only, ptr %set.at
  %room.at = getelementptr i8, ptr %array, i64 16
  %room = load ptr, ptr %room.at
  %result = getelementptr ptr, ptr %results, i64 %j
  store ptr %room, ptr %result
  %new = call ptr @PyType_GenericAlloc(ptr @fg_array, i64 0)
  %no.new = icmp eq ptr %new, null
  br i1 %no.new, label %drop.array, label %wrap
wrap:
  %value.at = getelementptr i8, ptr %new, i64 {value}
  store ptr %array, ptr %value.at
  %aval.from = getelementptr ptr, ptr %given.items, i64 %j
  %aval = load ptr, ptr %aval.from
  call void @Py_IncRef(ptr %aval)
  %aval.at = getelementptr i8, ptr %new, i64 {aval}
  store ptr %aval, ptr %aval.at
  %target = getelementptr ptr, ptr %targets, i64 %j
  store ptr %new, ptr %target
  %j1 = add i64 %j, 1
  br label %output
collect:
  br i1 %is.short, label %look.late, label %run.without
look.late:
  %found = call i64 @fg_collect(ptr %plan, ptr %inputs, ptr %wanted)
  %fine = icmp eq i64 %found, 0
  br i1 %fine, label %run, label %unfit
run:
  call i32 %program(ptr %table)
  ret ptr %list
run.without:
  %state = call ptr @PyEval_SaveThread()
  call i32 %program(ptr %table)
  call void @PyEval_RestoreThread(ptr %state)
  call void @fg_let_go(i64 %count, ptr %held)
  ret ptr %list
unfit:
  call void @Py_DecRef(ptr %list)
  br label %give.back
give.back:
  %why = phi i64 [ %found, %unfit ], [ %seen, %look ]
  %why.at = getelementptr i8, ptr %plan, i64 56
  store i64 %why, ptr %why.at
  call void @Py_IncRef(ptr %inputs)
  ret ptr %inputs
drop.array:
  call void @Py_DecRef(ptr %array)
  br label %drop
drop:
  call void @Py_DecRef(ptr %list)
  br label %no.memory
no.memory:
  br i1 %is.short, label %fail, label %fail.holding
fail.holding:
  call void @fg_let_go(i64 %count, ptr %held)
  br label %fail
fail:
  ret ptr null
}

; Holds the inputs of a call: of Arrays, the ndarrays within.
define internal void @fg_hold(ptr %inputs, i64 %count, ptr %held) {
entry:
  %items = getelementptr i8, ptr %inputs, i64 {items}
  br label %input
input:
  %i = phi i64 [ 0, %entry ], [ %i1, %keep ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %kind, label %done
kind:
  %item.at = getelementptr ptr, ptr %items, i64 %i
  %item = load ptr, ptr %item.at
  %type.at = getelementptr i8, ptr %item, i64 8
  %type = load ptr, ptr %type.at
  %is.array = icmp eq ptr %type, @fg_array
  br i1 %is.array, label %inside, label %keep
inside:
  %value.at = getelementptr i8, ptr %item, i64 {value}
  %value = load ptr, ptr %value.at
  br label %keep
keep:
  %one = phi ptr [ %item, %kind ], [ %value, %inside ]
  call void @Py_IncRef(ptr %one)
  %to = getelementptr ptr, ptr %held, i64 %i
  store ptr %one, ptr %to
  %i1 = add i64 %i, 1
  br label %input
done:
  ret void
}

define internal void @fg_let_go(i64 %count, ptr %held) {
entry:
  br label %input
input:
  %i = phi i64 [ 0, %entry ], [ %i1, %drop ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %drop, label %done
drop:
  %from = getelementptr ptr, ptr %held, i64 %i
  %one = load ptr, ptr %from
  call void @Py_DecRef(ptr %one)
  %i1 = add i64 %i, 1
  br label %input
done:
  ret void
}
"""


def program(layout: dict[str, int]) -> str:
    """The whole text, with the offsets that a process found."""
    narrow = "".join(_filled(NARROW, {"kind": kind, **how}) for kind, how in NARROWED.items())
    rest = _filled(COLLECT + _LAUNCH + _METHOD, {**layout, "fields": _FIELDS})
    return _OUTSIDE + narrow + rest


def _filled(text: str, parts: Mapping[str, object]) -> str:
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", str(part))
    return text
