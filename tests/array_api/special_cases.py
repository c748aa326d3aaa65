"""The special cases that the array API standard lays down for elementwise functions.

A row says a function, its arguments and the result: `atan2 pos zero : pi/2`. A word stands for
values (`pos` for positive finite numbers); several joined by `|` for all of them. `=1` and `=2`
are the argument of that number. Complex rows give real and imaginary parts, `~` is what the
standard leaves open, `~0` and `~inf` are open in their signs.

Sources: https://data-apis.org/array-api/2024.12/API_specification/elementwise_functions.html;
ISO C, annex G, which the standard follows for complex numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

nan, inf = math.nan, math.inf

WORDS: dict[str, list[float]] = {
    "nan": [nan],
    "inf": [inf],
    "-inf": [-inf],
    "infs": [inf, -inf],
    "0": [0.0],
    "-0": [-0.0],
    "zero": [0.0, -0.0],
    "pos": [1e-3, 0.5, 1.0, 1.5, 2.0, 3.0, 1e30],
    "neg": [-1e-3, -0.5, -1.0, -1.5, -2.0, -3.0, -1e30],
    "within": [1e-3, 0.5, -0.25],
    "beyond": [1.5, 2.0, 1e30],
    "below": [-1.5, -2.0, -1e30],
    "small": [0.25, 1.0, 2.5],
    "sm": [0.25, 1.0, 2.5, -0.25, -1.0, -2.5],
    "odd": [1.0, 3.0, 5.0],
    "-odd": [-1.0, -3.0, -5.0],
    "notodd": [2.0, 0.5, 1.5, 4.0],
    "-notodd": [-2.0, -0.5, -1.5, -4.0],
    "broken": [0.5, 1.5, -0.5, -2.5],
    "whole": [1.0, 2.0, 3.0, -1.0, -2.0, 5e8],
    "1": [1.0],
    "-1": [-1.0],
}
WORDS["fin"] = [*WORDS["pos"], *WORDS["neg"], 0.0, -0.0]
WORDS["nonzero"] = [*WORDS["pos"], *WORDS["neg"]]
WORDS["any"] = [*WORDS["fin"], inf, -inf, nan]
WORDS["number"] = [*WORDS["fin"], inf, -inf]

REAL = """
abs -0 : 0
abs infs : inf
acos nan|beyond|below : nan
acos 1 : 0
acosh nan|below|within|zero|-inf : nan
acosh 1 : 0
acosh inf : inf
asin nan|beyond|below : nan
asin zero : =1
asinh nan|zero|infs : =1
atan nan|zero : =1
atan inf : pi/2
atan -inf : -pi/2
atanh nan|beyond|below|infs : nan
atanh 1 : inf
atanh -1 : -inf
atanh zero : =1
ceil nan|zero|infs|whole : =1
floor nan|zero|infs|whole : =1
round nan|zero|infs|whole : =1
trunc nan|zero|infs|whole : =1
cos nan|infs : nan
cos zero : 1
cosh nan : nan
cosh zero : 1
cosh infs : inf
exp nan|inf : =1
exp zero : 1
exp -inf : 0
expm1 nan|zero|inf : =1
expm1 -inf : -1
log nan|neg|-inf : nan
log zero : -inf
log 1 : 0
log inf : inf
log1p nan|below|-inf : nan
log1p -1 : -inf
log1p zero|inf : =1
log2 nan|neg|-inf : nan
log2 zero : -inf
log2 1 : 0
log2 inf : inf
log10 nan|neg|-inf : nan
log10 zero : -inf
log10 1 : 0
log10 inf : inf
negative nan|inf|0 : -=1
positive any : =1
reciprocal 0 : inf
reciprocal -0 : -inf
reciprocal inf : 0
reciprocal -inf : -0
reciprocal nan : nan
sign zero : ~0
sign pos|inf : 1
sign neg|-inf : -1
sign nan : nan
signbit 0|pos|inf : 0
signbit -0|neg|-inf : 1
sin nan|infs : nan
sin zero : =1
sinh nan|zero|infs : =1
square infs : inf
square zero : 0
square nan : nan
sqrt nan|neg|-inf : nan
sqrt zero|inf : =1
tan nan|infs : nan
tan zero : =1
tanh nan|zero : =1
tanh inf : 1
tanh -inf : -1
isfinite fin : 1
isfinite nan|infs : 0
isinf infs : 1
isinf nan|fin : 0
isnan nan : 1
isnan number : 0
add nan any : nan
add any nan : nan
add inf -inf : nan
add -inf inf : nan
add inf inf|fin : inf
add -inf -inf|fin : -inf
add fin infs : =2
add -0 0 : 0
add 0 zero : 0
add -0 -0 : -0
add zero nonzero : =2
atan2 nan any : nan
atan2 any nan : nan
atan2 pos zero : pi/2
atan2 0 pos|0 : 0
atan2 0 neg|-0 : pi
atan2 -0 pos|0 : -0
atan2 -0 neg|-0 : -pi
atan2 neg zero : -pi/2
atan2 pos inf : 0
atan2 pos -inf : pi
atan2 neg inf : -0
atan2 neg -inf : -pi
atan2 inf fin : pi/2
atan2 -inf fin : -pi/2
atan2 inf inf : pi/4
atan2 inf -inf : 3pi/4
atan2 -inf inf : -pi/4
atan2 -inf -inf : -3pi/4
divide nan any : nan
divide any nan : nan
divide infs infs : nan
divide zero zero : nan
divide 0 pos : 0
divide 0 neg : -0
divide -0 pos : -0
divide -0 neg : 0
divide pos|inf 0 : inf
divide pos|inf -0 : -inf
divide neg|-inf 0 : -inf
divide neg|-inf -0 : inf
divide inf pos : inf
divide inf neg : -inf
divide -inf pos : -inf
divide -inf neg : inf
divide pos|0 inf : 0
divide pos|0 -inf : -0
divide neg|-0 inf : -0
divide neg|-0 -inf : 0
floor_divide nan any : nan
floor_divide any nan : nan
floor_divide infs infs : nan
floor_divide zero zero : nan
floor_divide 0 pos : 0
floor_divide 0 neg : -0
floor_divide -0 pos : -0
floor_divide -0 neg : 0
floor_divide pos 0 : inf
floor_divide pos -0 : -inf
floor_divide neg 0 : -inf
floor_divide neg -0 : inf
floor_divide pos inf : 0
floor_divide neg -inf : 0
hypot infs any : inf
hypot any infs : inf
hypot nan fin|nan : nan
hypot fin nan : nan
hypot zero fin : abs2
hypot fin zero : abs1
logaddexp nan any : nan
logaddexp any nan : nan
logaddexp -inf -inf : -inf
logaddexp inf number : inf
logaddexp -inf small|neg : =2
maximum nan any : nan
maximum any nan : nan
minimum nan any : nan
minimum any nan : nan
maximum fin -inf : =1
minimum fin inf : =1
multiply nan any : nan
multiply any nan : nan
multiply infs zero : nan
multiply zero infs : nan
multiply inf pos|inf : inf
multiply inf neg|-inf : -inf
multiply -inf neg|-inf : inf
multiply 0 neg|-0 : -0
multiply -0 pos|0 : -0
nextafter nan any : nan
nextafter any nan : nan
nextafter zero zero : =2
nextafter inf inf : inf
nextafter 1 1 : 1
pow nan|neg|pos|infs|zero zero : 1
pow nan nonzero|infs : nan
pow beyond|below|within|zero|infs nan : nan
pow beyond|below inf : inf
pow beyond|below -inf : 0
pow 1|-1 infs : 1
pow within|zero inf : 0
pow within|zero -inf : inf
pow inf pos|inf : inf
pow inf neg|-inf : 0
pow -inf odd : -inf
pow -inf notodd : inf
pow -inf -odd : -0
pow -inf -notodd : 0
pow 0 pos : 0
pow 0 neg : inf
pow -0 odd : -0
pow -0 notodd : 0
pow -0 -odd : -inf
pow -0 -notodd : inf
pow neg broken : nan
remainder nan any : nan
remainder any nan : nan
remainder infs number : nan
remainder fin zero : nan
remainder zero pos : 0
remainder zero neg : -0
remainder pos inf : =1
remainder pos -inf : =2
remainder neg -inf : =1
remainder neg inf : =2
remainder whole 1 : 0
remainder whole -1 : -0
subtract nan any : nan
subtract any nan : nan
subtract infs infs : 0or
subtract fin inf : -inf
subtract fin -inf : inf
subtract 0 zero : 0
subtract -0 0 : -0
copysign any 0|pos|inf : abs1
copysign number -0|neg|-inf : -abs1
equal nan any : 0
equal any nan : 0
equal zero zero : 1
not_equal nan any : 1
less nan any : 0
less any nan : 0
less 0|-0 zero : 0
less_equal nan any : 0
less_equal zero zero : 1
greater nan any : 0
greater inf fin|-inf : 1
greater_equal nan any : 0
greater_equal zero zero : 1
logical_and nan nan : 1
logical_or zero nan : 1
logical_xor zero zero : 0
logical_not nan|nonzero|infs : 0
logical_not zero : 1
"""

# Imaginary parts are positive, or +0, here: the other half follows from f(conj z) = conj f(z).
COMPLEX = """
acos zero 0 : pi/2 -0
acos zero nan : pi/2 nan
acos fin inf : pi/2 -inf
acos nonzero nan : nan nan
acos -inf pos : pi -inf
acos inf pos : 0 -inf
acos -inf inf : 3pi/4 -inf
acos inf inf : pi/4 -inf
acos infs nan : nan ~inf
acos nan 0|pos : nan nan
acos nan inf : nan -inf
acos nan nan : nan nan
acosh zero 0 : 0 pi/2
acosh fin inf : inf pi/2
acosh nonzero nan : nan nan
acosh -inf pos : inf pi
acosh inf pos : inf 0
acosh -inf inf : inf 3pi/4
acosh inf inf : inf pi/4
acosh infs nan : inf nan
acosh nan 0|pos : nan nan
acosh nan inf : inf nan
acosh nan nan : nan nan
asinh 0 0 : 0 0
asinh pos|0 inf : inf pi/2
asinh pos|0 nan : nan nan
asinh inf pos|0 : inf 0
asinh inf inf : inf pi/4
asinh inf nan : inf nan
asinh nan 0 : nan 0
asinh nan pos : nan nan
asinh nan inf : ~inf nan
asinh nan nan : nan nan
atanh 0 0 : 0 0
atanh 0 nan : 0 nan
atanh 1 0 : inf 0
atanh pos inf : 0 pi/2
atanh pos nan : nan nan
atanh inf pos|0 : 0 pi/2
atanh inf inf : 0 pi/2
atanh inf nan : 0 nan
atanh nan pos|0 : nan nan
atanh nan inf : ~0 pi/2
atanh nan nan : nan nan
cosh 0 0 : 1 0
cosh 0 inf|nan : nan ~0
cosh pos inf|nan : nan nan
cosh inf 0 : inf 0
cosh inf small : cis inf
cosh inf inf : ~inf nan
cosh inf nan : inf nan
cosh nan 0 : nan ~0
cosh nan pos|inf|nan : nan nan
sinh 0 0 : 0 0
sinh 0 inf|nan : ~0 nan
sinh pos inf|nan : nan nan
sinh inf 0 : inf 0
sinh inf small : cis inf
sinh inf inf : ~inf nan
sinh inf nan : ~inf nan
sinh nan 0 : nan 0
sinh nan pos|inf|nan : nan nan
tanh 0 0 : 0 0
tanh pos inf|nan : nan nan
tanh inf small : 1 ~0
tanh inf inf|nan : 1 ~0
tanh nan 0 : nan 0
tanh nan pos|inf|nan : nan nan
exp zero 0 : 1 0
exp fin inf|nan : nan nan
exp inf 0 : inf 0
exp -inf small|0 : cis 0
exp inf small : cis inf
exp -inf inf|nan : ~0 ~0
exp inf inf|nan : ~inf nan
exp nan 0 : nan 0
exp nan pos|inf|nan : nan nan
expm1 zero 0 : ~0 0
expm1 fin inf|nan : nan nan
expm1 inf 0 : inf 0
expm1 -inf small|0 : -1 ~0
expm1 inf small : cis inf
expm1 -inf inf|nan : -1 ~0
expm1 inf inf|nan : ~inf nan
expm1 nan 0 : nan 0
expm1 nan pos|inf|nan : nan nan
log -0 0 : -inf pi
log 0 0 : -inf 0
log fin inf : inf pi/2
log fin nan : nan nan
log -inf pos : inf pi
log inf pos|0 : inf 0
log -inf inf : inf 3pi/4
log inf inf : inf pi/4
log infs nan : inf nan
log nan 0|pos : nan nan
log nan inf : inf nan
log nan nan : nan nan
log1p -1 0 : -inf 0
log1p fin inf : inf pi/2
log1p fin nan : nan nan
log1p -inf pos : inf pi
log1p inf pos|0 : inf 0
log1p -inf inf : inf 3pi/4
log1p inf inf : inf pi/4
log1p infs nan : inf nan
log1p nan 0|pos : nan nan
log1p nan inf : inf nan
log1p nan nan : nan nan
sqrt zero 0 : 0 0
sqrt any inf : inf inf
sqrt fin nan : nan nan
sqrt -inf pos|0 : 0 inf
sqrt inf pos|0 : inf 0
sqrt -inf nan : nan ~inf
sqrt inf nan : inf nan
sqrt nan 0|pos|nan : nan nan
abs infs any : inf ~
abs any infs : inf ~
abs nan fin|nan : nan ~
abs fin nan : nan ~
abs fin zero : abs1 ~
sign zero zero : 0 0
sign nan any : nan nan
sign any nan : nan nan
isnan nan any : 1 ~
isnan any nan : 1 ~
isfinite infs|nan any : 0 ~
isfinite any infs|nan : 0 ~
isfinite fin fin : 1 ~
isinf infs any : 1 ~
isinf any infs : 1 ~
"""

# f(z) = -i g(iz), or g(iz) for the cosine: the standard defines these special cases so.
ROTATED = {"sin": "sinh", "cos": "cosh", "tan": "tanh", "asin": "asinh", "atan": "atanh"}


def rows(text: str) -> Iterator[tuple[str, list[tuple[float, ...]], list[str]]]:
    """Function, argument tuples and the words of the result, of each row."""
    for line in text.strip().splitlines():
        left, right = line.split(" : ")
        name, *words = left.split()
        choices = [[v for w in word.split("|") for v in WORDS[w]] for word in words]
        yield name, list(itertools.product(*choices)), right.split()


def value(word: str, args: tuple[float, ...]) -> float:
    """The number that a word of a result names."""
    if word.startswith("-") and word != "-inf":
        return -value(word[1:], args)
    if word.startswith("="):
        return args[int(word[1]) - 1]
    if word.startswith("abs"):
        return abs(args[int(word[3]) - 1])
    if word == "0or":
        return nan if args[0] == args[1] else args[0]
    if "pi" in word:
        times, _, over = word.partition("pi")
        return float(times or 1) * math.pi / float(over[1:] or 1)
    return float(word)
