"""The one triangular operation of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg.lapack import dtrtri

if TYPE_CHECKING:
    from nvmix._typing import FloatArray


def inverse_lower(L: FloatArray) -> FloatArray:
    """Inverse of a lower-triangular matrix with a positive diagonal, C-ordered.

    LAPACK is called directly: scipy's solve_triangular wakes a pool of threads for a 3 x 3 matrix,
    which costs milliseconds on a busy machine.
    """
    inverse, _ = dtrtri(L, lower=1)
    return np.tril(inverse)
