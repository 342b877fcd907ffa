"""Types of arrays and of names of columns, which all layers use."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
# Names of the columns of the data, or None if they have no names.
Columns: TypeAlias = tuple[str, ...] | None
