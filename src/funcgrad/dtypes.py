"""Public names of element types: dtypes, their hierarchy, and how they promote."""

from __future__ import annotations

from .ir.dtypes import TypePromotionError as TypePromotionError
from .ir.dtypes import bfloat16 as bfloat16
from .ir.dtypes import canonicalize_dtype as canonicalize_dtype
from .ir.dtypes import extended as extended
from .ir.dtypes import finfo as finfo
from .ir.dtypes import float0 as float0
from .ir.dtypes import iinfo as iinfo
from .ir.dtypes import issubdtype as issubdtype
from .ir.dtypes import itemsize_bits as itemsize_bits
from .ir.dtypes import prng_key as prng_key
from .ir.dtypes import result_type as result_type
from .ir.dtypes import scalar_type_of as scalar_type_of
from .ir.narrow import float4_e2m1fn as float4_e2m1fn
from .ir.narrow import float6_e2m3fn as float6_e2m3fn
from .ir.narrow import float6_e3m2fn as float6_e3m2fn
from .ir.narrow import float8_e3m4 as float8_e3m4
from .ir.narrow import float8_e4m3 as float8_e4m3
from .ir.narrow import float8_e4m3b11fnuz as float8_e4m3b11fnuz
from .ir.narrow import float8_e4m3fn as float8_e4m3fn
from .ir.narrow import float8_e4m3fnuz as float8_e4m3fnuz
from .ir.narrow import float8_e5m2 as float8_e5m2
from .ir.narrow import float8_e5m2fnuz as float8_e5m2fnuz
from .ir.narrow import float8_e8m0fnu as float8_e8m0fnu
from .ir.narrow import int1 as int1
from .ir.narrow import int2 as int2
from .ir.narrow import int4 as int4
from .ir.narrow import uint1 as uint1
from .ir.narrow import uint2 as uint2
from .ir.narrow import uint4 as uint4
