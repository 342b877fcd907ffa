"""What takes a fit in the place of its model."""

from typing import Any

from nvmix.fitting.outcome.result import EMResult
from nvmix.foundation.arrays import traced
from nvmix.mixture.em_maps import Mixture, check_mixture


def model_of(name: str, fitted: Any, *data: Any) -> Mixture:
    """The model of a fit, or the model itself, on the host; TypeError if JAX traces it or data."""
    model = fitted.model if isinstance(fitted, EMResult) else fitted
    check_mixture(name, model, "a fit or a model")
    if traced(*model.normal, *model.subordinator.gig, *data):
        msg = f"{name} and data must not be traced by JAX: this is NumPy, not under a JAX trace"
        raise TypeError(msg)
    on_host: Mixture = model.on_host()
    return on_host
