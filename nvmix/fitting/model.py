"""What EM needs of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from nvmix.backends.types import Gaussian, GIGParameters


@runtime_checkable
class Model(Protocol):
    """What EM needs of a model; every `NormalMixture` has it."""

    @property
    def block(self) -> Gaussian:
        """mu, gamma and L."""

    @property
    def subordinator(self) -> Any:
        """Law of Y, with its `gig` and `gig_expectations`."""

    def m_step(self, eta: Any, backend: str, method: str) -> Any:
        """Return the model of the next iteration."""

    def at(self, block: Gaussian, theta: GIGParameters) -> Any:
        """Return the model of the family that is there."""
