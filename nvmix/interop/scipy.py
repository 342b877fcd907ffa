"""A model of one column as a distribution of scipy.stats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from nvmix.mixture.em_maps import Mixture, check_mixture


class MixtureContinuous(stats.rv_continuous):  # type: ignore[misc]
    """Law of a model as an `rv_continuous` without shapes; `scipy_distribution` describes it."""

    def __init__(self, model: Mixture, seed: Any = None) -> None:
        self.model = model
        super().__init__(name=type(model).__name__, seed=seed)

    def _updated_ctor_param(self) -> dict[str, Any]:
        return {"model": self.model, "seed": None}

    def _shape_info(self) -> list[Any]:
        return []

    def _logpdf(self, x: Any) -> Any:
        # SciPy asks for densities at inf too.
        x = np.clip(x, -np.finfo(float).max, np.finfo(float).max)
        return self.model.log_prob(np.reshape(x, (-1, 1))).reshape(np.shape(x))

    def _pdf(self, x: Any) -> Any:
        return np.exp(self._logpdf(x))

    def _cdf(self, x: Any) -> Any:
        return _numpy(self.model.cdf, x)

    def _sf(self, x: Any) -> Any:
        return _numpy(self.model.sf, x)

    def _logcdf(self, x: Any) -> Any:
        return _numpy(self.model.logcdf, x)

    def _logsf(self, x: Any) -> Any:
        return _numpy(self.model.logsf, x)

    def _ppf(self, q: Any) -> Any:
        return _numpy(self.model.ppf, q)

    def _isf(self, q: Any) -> Any:
        return _numpy(self.model.isf, q)

    def _rvs(self, size: Any = None, random_state: Any = None) -> Any:
        size = () if size is None else tuple(np.atleast_1d(size).tolist())
        return self.model.rvs(size=size, random_state=random_state)[..., 0]

    def _stats(self) -> tuple[float, ...]:
        return tuple(float(x[0]) for x in self.model.stats("mvsk"))

    def _munp(self, n: int) -> float:
        return float(self.model.raw_moment(int(n))[0])

    def _entropy(self) -> float:
        return self.model.entropy()


def _numpy(method: Callable[[Any], Any], x: Any) -> Any:
    """A method at x, with NumPy's float in the place of Python's.

    It takes a copy: NumPy 2.0 warns of arrays that SciPy has broadcast as if they were written to.
    """
    return np.asarray(method(np.array(x)))[()]


def scipy_distribution(model: Mixture) -> MixtureContinuous:
    """Model of one column as a distribution of scipy.stats, with nvmix's own digits.

    It has loc and scale and no shapes, so that it is used as it is wherever a distribution, frozen
    or not, or its `cdf`, `ppf` or `rvs` is taken: `scipy.stats.kstest`, `goodness_of_fit`,
    `make_distribution`, `probplot` and `sampling`, and ``ProbPlot(dist=)`` and
    ``CopulaDistribution(marginals=)`` of statsmodels. For families that SciPy has,
    ``model.to_scipy()`` is SciPy's own distribution.

    Parameters
    ----------
    model : NormalMixture
        A model of one column, such as ``model.marginal(0)`` or ``model.linear(weights)``.

    Returns
    -------
    scipy.stats.rv_continuous
        The distribution; its attribute `model` is the model. ``fit(data)`` moves and scales it.

    Raises
    ------
    TypeError, ValueError
        If model is not a model, or has several columns.

    Examples
    --------
    >>> from nvmix import VarianceGamma
    >>> from nvmix.interop import scipy_distribution
    >>> from scipy import stats
    >>> model = VarianceGamma.from_classical(mu=0.0, gamma=0.5, sigma=1.0, alpha=2.0, beta=2.0)
    >>> law = scipy_distribution(model)
    >>> bool(stats.kstest(law.rvs(size=500, random_state=1), law.cdf).pvalue > 0.05)
    True
    """
    check_mixture("model", model)
    model = model.on_host()
    if model.d != 1:
        msg = (
            f"model must have one column, got {model.d}: take model.marginal(column) or "
            "model.linear(weights)"
        )
        raise ValueError(msg)
    return MixtureContinuous(model)
