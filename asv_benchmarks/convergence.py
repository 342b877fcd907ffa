"""Passes to each digit, and how far each fit ends from the best: docs/about/convergence.md.

python asv_benchmarks/convergence.py
"""

import warnings

import numpy as np
from arch.data import frenchdata, nasdaq, sp500
from scipy.optimize import minimize

from nvmix import (
    BatchEMFitter,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.datasets import load_crude_oil

FAMILIES = {
    NormalInverseGaussian: {"mu_ig": 1.0, "lam": 1.5},
    NormalInverseGamma: {"alpha": 3.0, "beta": 2.5},
    VarianceGamma: {"alpha": 2.5, "beta": 2.0},
    Hyperbolic: {"a": 1.3, "b": 0.7},
    GeneralizedHyperbolic: {"p": 0.4, "a": 1.3, "b": 0.7},
}
GAPS = (1e-3, 1e-5, 1e-7, 1e-9)
TIGHT = {"criterion": "likelihood", "tol": 1e-11, "max_iter": 20_000}


def returns(module):
    return np.diff(np.log(module.load()["Adj Close"].to_numpy()))


def data_sets():
    """Daily, monthly and blocks of 20 days, in the units they come in."""
    daily = returns(sp500), returns(nasdaq)
    return {
        "oil, monthly, 391 x 2": load_crude_oil()[0],
        "S&P 500, daily, 5030 x 1": daily[0][:, None],
        "NASDAQ, daily, 5030 x 1": daily[1][:, None],
        "both, daily, 5030 x 2": np.column_stack(daily),
        "Fama-French, monthly, 1109 x 4": frenchdata.load().iloc[:, :4].to_numpy(float),
        "S&P 500 in rows of 20 days, 251 x 20": daily[0][:5020].reshape(-1, 20),
    }


def moment_start(family, X):
    """A start by the moments of the data, the law of Y the same for all data."""
    start, d = NormalInverseGaussian.default_init(X), X.shape[1]
    law = family.from_classical(
        mu=np.zeros(d), gamma=np.zeros(d), sigma=np.eye(d), **FAMILIES[family]
    ).subordinator
    return family(start.mu.copy(), start.gamma.copy(), start.L_sigma.copy(), law)


def run(start, X, **keywords):
    return BatchEMFitter(**{**TIGHT, **keywords}).run(start, X)


def passes_to(result, target):
    """Passes before the mean log-likelihood is within reach, those not kept spread evenly."""
    values = np.append(result.log_likelihoods, np.inf)
    return (int(np.argmax(values >= target)) + 1) * result.n_passes / (result.n_iter + 1)


def passes_table(sets):
    """Passes of plain, SQUAREM and Anderson fits to within each gap, summed over the data."""
    print("| family | method | " + " | ".join(f"{gap:g}" for gap in GAPS) + " | share |")
    print("| --- | --- |" + " ---: |" * (len(GAPS) + 1))
    for family in FAMILIES:
        totals = {name: np.zeros(len(GAPS)) for name in ("none", "squarem", "anderson")}
        for X in sets.values():
            start = moment_start(family, X)
            # As chunks, by EM alone, and without special cases of the generalized hyperbolic.
            fits = {
                name: run(start, lambda X=X: [X], tol=1e-13, acceleration=name) for name in totals
            }
            if not all(fit.converged for fit in fits.values()) or fits["none"].rows:
                continue
            best = max(fit.log_likelihood for fit in fits.values()) / len(X)
            for name, fit in fits.items():
                totals[name] += [passes_to(fit, best - gap) for gap in GAPS]
        for name, total in totals.items():
            share = total[-1] / totals["none"][-1]
            cells = " | ".join(f"{count:.0f}" for count in total)
            print(f"| {family.__name__} | {name} | {cells} | {share:.2f} |", flush=True)


def by_scipy(model, X):
    """Log-likelihood where SciPy's optimizer of the exact marginal likelihood ends."""
    d, low = model.d, np.tril_indices(model.d, -1)
    p, a, b = model.subordinator.gig
    free_p = model.fixed.p is None
    positive = [value for value in (a, b) if value > 0.0]

    def unpack(x):
        L = np.zeros((d, d))
        L[low] = x[3 * d : 3 * d + len(low[0])]
        L[np.diag_indices(d)] = np.exp(x[2 * d : 3 * d])
        law = list(x[3 * d + len(low[0]) :])
        order = law.pop(0) if free_p else p
        theta = (order, *(float(np.exp(law.pop(0))) if value > 0.0 else 0.0 for value in (a, b)))
        return model.at(type(model.normal)(x[:d].copy(), x[d : 2 * d].copy(), L), theta)

    L = model.L_sigma
    law = ([p] if free_p else []) + list(np.log(positive))
    start = np.concatenate([model.mu, model.gamma, np.log(np.diag(L)), L[low], law])
    method = "Nelder-Mead" if d == 1 else "BFGS"

    def loss(x):
        try:
            return -unpack(x).log_prob(X).sum()
        except ValueError:
            return np.inf

    return -minimize(loss, start, method=method, options={"maxiter": 4000}).fun


def gap_table(sets):
    """How far fits from the default start end from the best that anything finds, in nats."""
    print("| data | family | status | passes | scale 1e-6 | 1 | 1e6 |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for name, X in sets.items():
        for family in FAMILIES:
            ends, shift = [], X.size * np.log([1e-6, 1.0, 1e6])
            fits = [run(family.default_init(s * X), s * X) for s in (1e-6, 1.0, 1e6)]
            ends = [fit.log_likelihood for fit in fits] + shift
            if not fits[1].converged:
                print(f"| {name} | {family.__name__} | {fits[1].status.name} | | | | |", flush=True)
                continue
            start = family.default_init(X)
            others = [run(start, X, acceleration=a) for a in ("none", "squarem", "anderson")]
            others += [run(start, X, n_init=8), run(moment_start(family, X), X)]
            found = [other.log_likelihood for other in others if other.usable]
            if X.shape[1] < 5:
                found.append(by_scipy(fits[1].model, X))
            best = max(*found, *ends)
            cells = " | ".join(f"{best - end:.0e}" for end in ends)
            status = f"{fits[1].status.name} | {fits[1].n_passes}"
            print(f"| {name} | {family.__name__} | {status} | {cells} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    passes_table(data_sets())
    print()
    gap_table(data_sets())
