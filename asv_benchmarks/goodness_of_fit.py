"""Size and power of `goodness_of_fit`: print the table of `docs/guide/goodness.md`.

Rows of a normal-inverse Gaussian are fitted by each family, and tested with 99 refits.
"""

import argparse
from functools import partial

import numpy as np
from benchmarks.datasets import normal_block

import nvmix
from nvmix.diagnostics import goodness_of_fit
from nvmix.foundation.threads import ThreadPool, get_num_threads

LEVEL, REFITS = 0.05, 99
# The true family, of twice as many samples, and others.
FAMILIES = ("nig", "skewt", "hyperbolic", "normal")


def pvalues_of(family, n, d, seed):
    """P-values of one sample, nan where the fit did not converge."""
    law = nvmix.NormalInverseGaussian.from_classical(**normal_block(d), mu_ig=1.0, lam=0.7)
    (result,) = nvmix.fit_many([law.rvs(n, seed)], family, max_iter=1000)
    if not result.converged:
        return np.full(3, np.nan)
    return goodness_of_fit(result, n_simulations=REFITS, seed=seed, max_iter=1000).pvalues


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=400, help="of the true family (400)")
    samples = parser.parse_args().samples
    print("| rows | family | KS | AD | CvM | samples |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for n, d in ((500, 1), (500, 5)):
        for family in FAMILIES:
            seeds = list(range(samples if family == FAMILIES[0] else samples // 2))
            pool = ThreadPool(get_num_threads())
            found = np.array(pool.map(partial(pvalues_of, family, n, d), seeds))
            found = found[np.isfinite(found[:, 0])]
            cells = " | ".join(f"{share:.3f}" for share in (found <= LEVEL).mean(axis=0))
            print(f"| {n} x {d} | {family} | {cells} | {len(found)} |", flush=True)


if __name__ == "__main__":
    main()
