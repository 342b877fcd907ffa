"""Rules that combine the statistics of an E-step with those used before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nvmix._validation import positive

if TYPE_CHECKING:
    from nvmix._statistics import SufficientStatistics


class EtaUpdate(Protocol):
    """A rule (previous, batch, step) -> statistics for the M-step; previous is None at step 0."""

    def __call__(
        self, previous: SufficientStatistics | None, batch: SufficientStatistics, step: int
    ) -> SufficientStatistics:
        """Combine."""


@dataclass(frozen=True)
class IdentityUpdate:
    """Use the statistics of the batch as they are: plain EM.

    Examples
    --------
    >>> from nvmix import IdentityUpdate
    >>> IdentityUpdate()
    IdentityUpdate()
    """

    def __call__(
        self,
        previous: SufficientStatistics | None,  # noqa: ARG002
        batch: SufficientStatistics,
        step: int,  # noqa: ARG002
    ) -> SufficientStatistics:
        """Return the batch."""
        return batch


@dataclass(frozen=True)
class EWMAUpdate:
    """Exponentially weighted average of means, (1 - w) previous + w batch.

    Parameters
    ----------
    w : float
        Weight of the new batch, in (0, 1].

    References
    ----------
    O. Cappe and E. Moulines, On-line expectation-maximization algorithm for latent data models,
    Journal of the Royal Statistical Society B 71 (2009), 593-613.

    Examples
    --------
    >>> from nvmix import EWMAUpdate
    >>> EWMAUpdate(0.5)
    EWMAUpdate(w=0.5)
    """

    w: float

    def __post_init__(self) -> None:
        """Validate."""
        if positive("w", self.w) > 1.0:
            msg = f"w must be at most 1, got {self.w}"
            raise ValueError(msg)

    def __call__(
        self,
        previous: SufficientStatistics | None,
        batch: SufficientStatistics,
        step: int,  # noqa: ARG002
    ) -> SufficientStatistics:
        """Average the means, weighing the total as the batch does."""
        if previous is None:
            return batch
        kept = (1.0 - self.w) * batch.weight / previous.weight
        return batch * self.w + previous * kept
