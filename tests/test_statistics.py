"""Statistics of E-steps as values: sums of chunks are those of one pass, however many there are."""

import functools
import math
import operator
import pickle

import numpy as np
import pytest
from conftest import chunks_of, make

from nvmix import NormalInverseGaussian
from nvmix.foundation.pairwise_sum import PairwiseSum, pairwise_sum


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian, 3).rvs(5000, seed=2)


class TestStatistics:
    def test_of_chunks_add_to_those_of_one_pass(self, family):
        """Mean 1e6, spread 1: against sums by math.fsum of exact expectations of each row."""
        model = _shifted(make(family, 2), 1e6)
        X = model.rvs(3000, seed=0)
        whole = model.e_step(X)
        merged = sum(model.e_step(part) for part in np.array_split(X, 40))
        rows = [model.e_step(x[None, :]) for x in X]
        for name in ("log_likelihood", "log_y", "inv_y", "y"):
            exact = math.fsum(getattr(row, name) for row in rows)
            size = math.fsum(abs(getattr(row, name)) for row in rows)
            assert abs(getattr(whole, name) - exact) <= 1e-13 * size
            assert abs(getattr(merged, name) - exact) <= 1e-13 * size
        scale = np.sqrt(np.outer(np.diag(whole.xx_inv_y), np.diag(whole.xx_inv_y)))
        assert (np.abs(merged.xx_inv_y - whole.xx_inv_y) <= 1e-13 * scale).all()
        np.testing.assert_allclose(merged.E_X, whole.E_X, rtol=1e-15)

    def test_a_fit_is_as_sure_of_data_far_from_the_origin(self, X):
        start = NormalInverseGaussian.default_init(X)
        far = np.round(X * 2.0**20) / 2.0**20 + 2.0**20
        near = far - 2.0**20
        moved = _shifted(start, 2.0**20).fit(chunks_of(far, 500))
        expected = start.fit(chunks_of(near, 500))
        assert moved.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-13)
        np.testing.assert_allclose(moved.model.mu - 2.0**20, expected.model.mu, atol=1e-9)

    def test_sums_of_as_many_chunks_as_a_billion_rows_make_keep_their_digits(self):
        """1e5 equal chunks of 1e4 rows: a power of 2 of them has no rounding at all."""
        term = 0.1
        assert pairwise_sum((term for _ in range(1 << 17)), operator.add) == term * (1 << 17)
        total = pairwise_sum((term for _ in range(100_000)), operator.add)
        assert abs(total - 10_000.0) <= 4 * np.spacing(10_000.0)
        one_by_one = functools.reduce(operator.add, [term] * 100_000)
        assert abs(one_by_one - 10_000.0) > 1000 * np.spacing(10_000.0)

    def test_long_arrays_are_summed_in_pieces(self):
        X = np.full((200_000, 1), 0.3)
        X[::2] = -0.1
        model = make(NormalInverseGaussian, 1)
        found, two = model.e_step(X), model.e_step(X[:2])
        assert found.y == pytest.approx(two.y * 100_000, rel=1e-14)

    def test_scale_pickle_and_start_a_sum(self, X):
        model = make(NormalInverseGaussian, 3)
        eta = model.e_step(X)
        again = pickle.loads(pickle.dumps(eta))
        assert again.log_likelihood == eta.log_likelihood
        np.testing.assert_array_equal(again.xx_inv_y, eta.xx_inv_y)
        assert sum([eta]) is eta
        doubled = model.e_step(X, weights=np.full(len(X), 2.0))
        np.testing.assert_allclose((2.0 * eta).xx_inv_y, doubled.xx_inv_y, rtol=1e-13)
        np.testing.assert_array_equal((np.float64(0.5) * eta * 2).x, eta.x)
        np.testing.assert_array_equal((eta / 4).x, (0.25 * eta).x)
        for factor in (eta, None, "2", np.ones(2)):
            with pytest.raises(TypeError):
                eta * factor
            with pytest.raises(TypeError):
                factor * eta
        for term in (1.0, np.zeros(2), None):
            with pytest.raises(TypeError):
                eta + term
            with pytest.raises(TypeError):
                term + eta
        with pytest.raises(ValueError, match="statistics of 3 and of 1 columns cannot be added"):
            eta + make(NormalInverseGaussian, 1).e_step(X[:, :1])

    def test_of_a_source_are_those_of_its_rows(self, X):
        model = make(NormalInverseGaussian, 3)
        assert model.e_step(chunks_of(X)).y == pytest.approx(model.e_step(X).y, rel=1e-14)

    def test_pairwise_sums_keep_the_order(self):
        for n in range(1, 40):
            total = PairwiseSum(operator.add)
            for i in range(n):
                total.push(i, [i])
            assert total.total() == list(range(n))
        with pytest.raises(ValueError, match="a term to add"):
            PairwiseSum(operator.add).total()

    def test_partial_sums_are_the_pairwise_ones_whoever_has_which_terms(self):
        rng = np.random.default_rng(0)
        for n in (1, 2, 7, 40, 65):
            terms = rng.standard_normal(n)
            holders = [PairwiseSum(operator.add) for _ in range(5)]
            for i in rng.permutation(n):
                holders[rng.integers(5)].push(int(i), terms[i])
            merged = PairwiseSum.merged(holders)
            assert merged.total() == pairwise_sum(terms, operator.add)
            assert PairwiseSum.merged(holders).total() == merged.total()


def _shifted(model, shift):
    return type(model)(
        model.mu + shift, model.gamma, model.L_sigma, model.subordinator, model.columns
    )
