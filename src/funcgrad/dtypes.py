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
