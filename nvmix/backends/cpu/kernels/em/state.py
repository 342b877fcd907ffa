"""The state of an EM fit, and what its loop is to do, as arrays and numbers that kernels take.

Y is in units of e^E[log Y] at the start.
"""

from typing import Final, NamedTuple

from nvmix.backends.cpu.kernels.em.acceleration import History
from nvmix.backends.cpu.kernels.em.e_step import Model
from nvmix.backends.cpu.kernels.em.m_step import Frame, Held, SubordinatorKind
from nvmix.foundation.typing import FloatArray

# Places in the numbers of a state: mean log-likelihood of the last accepted model and its gain over
# the model before; plain steps in a row, and iterations in a row whose predicted gain is below tol;
# iterations and passes; parameter change and predicted gain of the candidate; the `GIGStatus` of
# its law of Y; whether its proposal is a repetition; the order of the table of moments;
# parameter change and predicted gain of EM's own step from the last model; whether the fit has
# converged but for a last step; and iterations that met the criterion but were not confirmed.
(
    VALUE, GAIN, N_PLAIN, N_BELOW_TOL, N_ITER, N_PASSES, CHANGE, PREDICTED_GAIN, SOLUTION, REPEATED,
    ORDER, RESIDUAL, RESIDUAL_GAIN, ARRIVING, N_UNCONFIRMED,
    RATE,
) = range(16)  # fmt: skip
N_NUMBERS: Final = 16


class LoopOptions(NamedTuple):
    """`EMOptions` as numbers: acceleration and criterion are places in their lists.

    is_em is whether a step is EM's own or an extrapolation of it, so that the likelihood does not
    fall, and neither a rule nor an E-step between two halves of the M-step comes in.
    """

    subordinator: SubordinatorKind
    held: Held
    acceleration: int
    criterion: int
    is_em: bool
    ends_unconfirmed: bool
    max_iter: int
    tol: float
    left: float


class FitState(NamedTuple):
    """A fit between two steps. It is arrays only: a checkpoint is this tuple written down."""

    candidate: Model  # of the last M-step, not yet accepted; at first the start
    last: Model  # the last that was accepted
    moments: FloatArray  # (2, 4) (lnZ, E log Y, E 1/Y, E Y) of Y in the candidate and in last
    sums: FloatArray  # of the E-step at the candidate, as `add_rows` makes them
    scatter: FloatArray
    means: FloatArray  # (k,) statistics in the frame that the M-step inverts
    frame: Frame
    history: History
    numbers: FloatArray
    log_likelihoods: FloatArray  # (room + 1,) means, of the start and after each iteration
    changes: FloatArray  # (room,), at most max_iter
