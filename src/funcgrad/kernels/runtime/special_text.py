"""Special functions that no library offers with a C address, in LLVM's language.

    zeta(x, q) = Σ_{k≥0} (q + k)^(-x), x > 1

is summed directly up to w = q + n with w > 9, and the rest by Euler and Maclaurin:

    w^(-x) · (w/(x-1) + 1/2 + Σ_j B_2j/(2j)! · x(x+1)···(x+2j-2) / w^(2j-1)).

Source: NIST Digital Library of Mathematical Functions, 25.11.28.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from math import factorial

NAMES = ("zeta",)

# B_2, B_4, ...
BERNOULLI = (
    "1/6 -1/30 1/42 -1/30 5/66 -691/2730 7/6 -3617/510 43867/798 -174611/330 854513/138 "
    "-236364091/2730"
).split()


def _double(value: Fraction | float) -> str:
    return f"double 0x{struct.pack('>d', float(value)).hex().upper()}"


ZETA = """
@coefficients = internal constant [{count} x double] [{coefficients}]
declare double @pow(double, double)
declare double @llvm.fabs.f64(double)
declare double @llvm.floor.f64(double)

; a^y, by products where y is -2 or -3, as the derivatives of digamma have it.
define internal double @power(double %a, double %y) alwaysinline nounwind {
entry:
  %second = fcmp oeq double %y, -2.0
  br i1 %second, label %square, label %other
square:
  %aa = fmul double %a, %a
  %s = fdiv double 1.0, %aa
  ret double %s
other:
  %third = fcmp oeq double %y, -3.0
  br i1 %third, label %cube, label %any
cube:
  %b = fmul double %a, %a
  %bb = fmul double %b, %a
  %c = fdiv double 1.0, %bb
  ret double %c
any:
  %p = call double @pow(double %a, double %y)
  ret double %p
}

define double @fg_special_zeta(double %x, double %q) nounwind {
entry:
  %pole = fcmp oeq double %x, 1.0
  br i1 %pole, label %infinite, label %order
order:
  %divergent = fcmp olt double %x, 1.0
  br i1 %divergent, label %undefined, label %sign
sign:
  %negative = fcmp ole double %q, 0.0
  br i1 %negative, label %left, label %direct
left:
  %fq = call double @llvm.floor.f64(double %q)
  %at_pole = fcmp oeq double %fq, %q
  br i1 %at_pole, label %infinite, label %power
power:
  ; A negative number has integer powers only.
  %fx = call double @llvm.floor.f64(double %x)
  %integer = fcmp oeq double %fx, %x
  br i1 %integer, label %direct, label %undefined
infinite:
  ret double 0x7FF0000000000000
undefined:
  ret double 0x7FF8000000000000

direct:
  %y = fneg double %x
  br label %term
term:
  %a = phi double [ %q, %direct ], [ %w, %term ]
  %s = phi double [ 0.0, %direct ], [ %s1, %term ]
  %n = phi i64 [ 1, %direct ], [ %n1, %term ]
  %t = call double @power(double %a, double %y)
  %s1 = fadd double %s, %t
  %w = fadd double %a, 1.0
  %n1 = add i64 %n, 1
  %few = icmp slt i64 %n, 9
  %small = fcmp ole double %w, 9.0
  %on = or i1 %few, %small
  br i1 %on, label %term, label %tail

tail:
  %b = call double @power(double %w, double %y)
  %x1 = fsub double %x, 1.0
  %integral = fdiv double %w, %x1
  %first = fadd double %integral, 0.5
  %rest = fmul double %b, %first
  %magnitude = call double @llvm.fabs.f64(double %s1)
  %least = fmul double %magnitude, {negligible}
  %counts = fcmp ogt double %rest, %least
  %inverse = fdiv double 1.0, %w
  br i1 %counts, label %series, label %done
done:
  ret double %s1
series:
  %j = phi i64 [ 0, %tail ], [ %j1, %series ]
  %sum = phi double [ %first, %tail ], [ %sum1, %series ]
  %k = phi double [ %x, %tail ], [ %k2, %series ]
  %start = phi double [ 1.0, %tail ], [ %r3, %series ]
  ; x(x+1)···(x+2j-2) / w^(2j-1), a factor at a time: neither part overflows.
  %f1 = fmul double %k, %inverse
  %r1 = fmul double %start, %f1
  %p = getelementptr double, ptr @coefficients, i64 %j
  %c = load double, ptr %p, align 8
  %u = fmul double %c, %r1
  %sum1 = fadd double %sum, %u
  %k1 = fadd double %k, 1.0
  %f2 = fmul double %k1, %inverse
  %r3 = fmul double %r1, %f2
  %k2 = fadd double %k1, 1.0
  %j1 = add i64 %j, 1
  %more = icmp slt i64 %j1, {count}
  br i1 %more, label %series, label %end
end:
  %tailed = fmul double %b, %sum1
  %result = fadd double %s1, %tailed
  ret double %result
}
"""


def special_text() -> str:
    """The module with `double fg_special_<name>(double, ...)` for each of NAMES."""
    terms = [_double(Fraction(b) / factorial(2 * j)) for j, b in enumerate(BERNOULLI, 1)]
    values = {
        "count": str(len(terms)),
        "coefficients": ", ".join(terms),
        "negligible": _double(1e-18).removeprefix("double "),
    }
    text = ZETA
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
