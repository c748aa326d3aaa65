"""The text of what reads the inputs of a call: from objects to addresses in a program's table.

In: a tuple of objects, and what is wanted of them. Out: the text of `fg_collect`, which
`launcher_text` fills with the offsets of fields. The one idea: what lies as the program reads it is
read where it lies; the few others that are common are converted here, into memory that stays.
"""

from __future__ import annotations

# An array of 64-bit numbers as one of 32 bits: the nearest floats, the low halves of integers.
NARROW = """
define internal void @fg_narrow_{kind}(ptr %from, ptr %to, i64 %n) {
entry:
  %rest = and i64 %n, 7
  %whole = sub i64 %n, %rest
  br label %eight
eight:
  %i = phi i64 [ 0, %entry ], [ %i8, %eight.more ]
  %more = icmp slt i64 %i, %whole
  br i1 %more, label %eight.more, label %one
eight.more:
  %wide.at = getelementptr {wide}, ptr %from, i64 %i
  %wide = load <8 x {wide}>, ptr %wide.at, align 8
  %narrow = {narrowed} <8 x {wide}> %wide to <8 x {narrow}>
  %narrow.at = getelementptr {narrow}, ptr %to, i64 %i
  store <8 x {narrow}> %narrow, ptr %narrow.at, align 4
  %i8 = add i64 %i, 8
  br label %eight
one:
  %k = phi i64 [ %whole, %eight ], [ %k1, %one.more ]
  %left = icmp slt i64 %k, %n
  br i1 %left, label %one.more, label %done
one.more:
  %last.at = getelementptr {wide}, ptr %from, i64 %k
  %last = load {wide}, ptr %last.at
  %made = {narrowed} {wide} %last to {narrow}
  %made.at = getelementptr {narrow}, ptr %to, i64 %k
  store {narrow} %made, ptr %made.at
  %k1 = add i64 %k, 1
  br label %one
done:
  ret void
}
"""
NARROWED = {
    "floats": {"wide": "double", "narrow": "float", "narrowed": "fptrunc"},
    "integers": {"wide": "i64", "narrow": "i32", "narrowed": "trunc"},
}

# Puts the addresses of the inputs into the table. If there are records of what is wanted, the
# inputs are held against them; else they are ndarrays. Gives MISMATCH if one is nothing that is
# wanted, -1 - k if input k is no memory that the program can read, MISMATCH - 1 - k if it is to be
# converted and there is no memory for that, else 0.
COLLECT = """
define internal i64 @fg_collect(ptr %plan, ptr %inputs, ptr %wanted) {
entry:
  %overflow = alloca i32
  %first.at = getelementptr i8, ptr %plan, i64 16
  %first = load ptr, ptr %first.at
  %count.at = getelementptr i8, ptr %plan, i64 24
  %count = load i64, ptr %count.at
  %numbers.at = getelementptr i8, ptr %plan, i64 40
  %numbers = load ptr, ptr %numbers.at
  %items = getelementptr i8, ptr %inputs, i64 {items}
  %checked = icmp ne ptr %wanted, null
  br label %input
input:
  %i = phi i64 [ 0, %entry ], [ %i1, %take ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look, label %done
look:
  %item.at = getelementptr ptr, ptr %items, i64 %i
  %item = load ptr, ptr %item.at
  %inside = getelementptr i8, ptr %item, i64 16
  br i1 %checked, label %kind, label %flags
kind:
  %record = getelementptr [8 x i64], ptr %wanted, i64 %i
  %type.at = getelementptr i8, ptr %item, i64 8
  %type = load ptr, ptr %type.at
  %is.array = icmp eq ptr %type, @fg_array
  br i1 %is.array, label %sort, label %plain
sort:
  %aval.at = getelementptr i8, ptr %item, i64 {aval}
  %aval = load ptr, ptr %aval.at
  %aval.wanted = load ptr, ptr %record
  %same = icmp eq ptr %aval, %aval.wanted
  br i1 %same, label %value, label %mismatch
value:
  %value.at = getelementptr i8, ptr %item, i64 {value}
  %held = load ptr, ptr %value.at
  %held.type.at = getelementptr i8, ptr %held, i64 8
  %held.type = load ptr, ptr %held.type.at
  %is.memory = icmp eq ptr %held.type, @fg_ndarray
  br i1 %is.memory, label %flags, label %unfit
plain:
  %is.ndarray = icmp eq ptr %type, @fg_ndarray
  br i1 %is.ndarray, label %dtype, label %number
dtype:
  %dtype.at = getelementptr i8, ptr %item, i64 56
  %dtype.has = load ptr, ptr %dtype.at
  %dtype.from = getelementptr i8, ptr %record, i64 8
  %dtype.wanted = load ptr, ptr %dtype.from
  %rank.at = getelementptr i8, ptr %item, i64 24
  %rank = load i32, ptr %rank.at
  %rank.from = getelementptr i8, ptr %record, i64 16
  %rank.wanted = load i32, ptr %rank.from
  %shape.at = getelementptr i8, ptr %item, i64 32
  %shape = load ptr, ptr %shape.at
  %shape.from = getelementptr i8, ptr %record, i64 24
  %shape.wanted = load ptr, ptr %shape.from
  %same.dtype = icmp eq ptr %dtype.has, %dtype.wanted
  %wider.at = getelementptr i8, ptr %record, i64 32
  %wider.dtype = load ptr, ptr %wider.at
  %is.wider.dtype = icmp eq ptr %dtype.has, %wider.dtype
  %may.be = or i1 %same.dtype, %is.wider.dtype
  %same.rank = icmp eq i32 %rank, %rank.wanted
  %alike = and i1 %may.be, %same.rank
  br i1 %alike, label %extent, label %mismatch
extent:
  %d = phi i32 [ 0, %dtype ], [ %d1, %compare ]
  %has.axis = icmp slt i32 %d, %rank
  br i1 %has.axis, label %compare, label %fitting
fitting:
  br i1 %same.dtype, label %flags, label %whole.memory
whole.memory:
  %wide.flags.at = getelementptr i8, ptr %item, i64 64
  %wide.has = load i32, ptr %wide.flags.at
  %wide.both = and i32 %wide.has, 257
  %wide.good = icmp eq i32 %wide.both, 257
  br i1 %wide.good, label %find, label %unfit
find:
  %rooms.at = getelementptr i8, ptr %plan, i64 64
  %rooms = load ptr, ptr %rooms.at
  %room.at = getelementptr ptr, ptr %rooms, i64 %i
  %room = load ptr, ptr %room.at
  %no.room = icmp eq ptr %room, null
  br i1 %no.room, label %roomless, label %halve
halve:
  %from.at = getelementptr i8, ptr %item, i64 16
  %from = load ptr, ptr %from.at
  %floats.from = getelementptr i8, ptr %record, i64 40
  %floats = load i64, ptr %floats.from
  %numbers.from = getelementptr i8, ptr %record, i64 56
  %amount = load i64, ptr %numbers.from
  %are.floats = icmp ne i64 %floats, 0
  br i1 %are.floats, label %nearest, label %lower
nearest:
  call void @fg_narrow_floats(ptr %from, ptr %room, i64 %amount)
  br label %take
lower:
  call void @fg_narrow_integers(ptr %from, ptr %room, i64 %amount)
  br label %take
compare:
  %n.at = getelementptr i64, ptr %shape, i32 %d
  %n = load i64, ptr %n.at
  %n.from = getelementptr i64, ptr %shape.wanted, i32 %d
  %n.wanted = load i64, ptr %n.from
  %d1 = add i32 %d, 1
  %same.extent = icmp eq i64 %n, %n.wanted
  br i1 %same.extent, label %extent, label %mismatch
number:
  %readable.from = getelementptr i8, ptr %record, i64 32
  %readable = load ptr, ptr %readable.from
  %wider.from = getelementptr i8, ptr %record, i64 40
  %wider = load ptr, ptr %wider.from
  %is.readable = icmp eq ptr %type, %readable
  %is.wider = icmp eq ptr %type, %wider
  %in.place = or i1 %is.readable, %is.wider
  br i1 %in.place, label %take, label %other
other:
  %other.from = getelementptr i8, ptr %record, i64 48
  %other.wanted = load ptr, ptr %other.from
  %how.from = getelementptr i8, ptr %record, i64 56
  %how = load i64, ptr %how.from
  %scaled = shl i64 %i, 4
  %to = getelementptr i8, ptr %numbers, i64 %scaled
  %is.other = icmp eq ptr %type, %other.wanted
  br i1 %is.other, label %convert, label %mismatch
convert:
  switch i64 %how, label %mismatch [
    i64 0, label %float
    i64 1, label %complex
    i64 2, label %integer
    i64 3, label %integer
    i64 4, label %bool
  ]
float:
  %double = load double, ptr %inside
  %single = fptrunc double %double to float
  store float %single, ptr %to
  br label %take
complex:
  %wide = load <2 x double>, ptr %inside, align 8
  %narrow = fptrunc <2 x double> %wide to <2 x float>
  store <2 x float> %narrow, ptr %to, align 8
  br label %take
integer:
  %whole = call i64 @PyLong_AsLongLongAndOverflow(ptr %item, ptr %overflow)
  store i64 %whole, ptr %to
  %over = load i32, ptr %overflow
  %exact = icmp eq i32 %over, 0
  %low = trunc i64 %whole to i32
  %back = sext i32 %low to i64
  %short = icmp eq i64 %back, %whole
  %may.be.long = icmp eq i64 %how, 3
  %fits = or i1 %short, %may.be.long
  %good.integer = and i1 %exact, %fits
  br i1 %good.integer, label %take, label %mismatch
bool:
  %truth = icmp eq ptr %item, @fg_true
  %byte = zext i1 %truth to i8
  store i8 %byte, ptr %to
  br label %take
flags:
  %array = phi ptr [ %item, %look ], [ %held, %value ], [ %item, %fitting ]
  %flags.at = getelementptr i8, ptr %array, i64 64
  %has = load i32, ptr %flags.at
  %both = and i32 %has, 257
  %good = icmp eq i32 %both, 257
  br i1 %good, label %memory, label %unfit
memory:
  %data.at = getelementptr i8, ptr %array, i64 16
  %data = load ptr, ptr %data.at
  br label %take
take:
  %address = phi ptr [ %data, %memory ], [ %inside, %number ], [ %to, %float ], [ %to, %complex ],
                     [ %to, %integer ], [ %to, %bool ], [ %room, %nearest ], [ %room, %lower ]
  %slot = getelementptr ptr, ptr %first, i64 %i
  store ptr %address, ptr %slot
  %i1 = add i64 %i, 1
  br label %input
mismatch:
  ret i64 {mismatch}
unfit:
  %k = sub i64 -1, %i
  ret i64 %k
roomless:
  %none = sub i64 {roomless}, %i
  ret i64 %none
done:
  ret i64 0
}
"""
