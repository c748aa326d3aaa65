"""`jax.extend.linear_util`: functions with transformations around them."""

from __future__ import annotations

from functools import cache as cache

from ...linear_util import StoreException as StoreException
from ...linear_util import WrappedFun as WrappedFun
from ...linear_util import merge_linear_aux as merge_linear_aux
from ...linear_util import transformation as transformation
from ...linear_util import transformation2 as transformation2
from ...linear_util import transformation_with_aux as transformation_with_aux
from ...linear_util import transformation_with_aux2 as transformation_with_aux2
from ...linear_util import wrap_init as wrap_init
