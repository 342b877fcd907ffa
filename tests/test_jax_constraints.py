"""What a fit holds fixed, heavy tails and the trust region, inside the JAX program."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import ROWS, make, needs_jax

from nvmix import (
    BatchEMFitter,
    EWMAUpdate,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
    VarianceGamma,
)

pytestmark = needs_jax
BOTH = {"e_step_backend": "jax", "m_step_backend": "jax"}
TIGHT = {"criterion": "likelihood", "tol": 1e-12, "max_iter": 250}
MU = np.array([0.1, 0.2])


def parameters(model):
    return np.concatenate([*(np.ravel(x) for x in model.normal), model.subordinator.gig])


def assert_same_end(here, there):
    assert there.status is here.status
    assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-11)
    np.testing.assert_allclose(parameters(there.model), parameters(here.model), atol=1e-4)
    for name in ("n_parameters", "held", "at_bound", "rows"):
        assert getattr(there, name) == getattr(here, name)


class TestAgreement:
    """Fits that hold something end where those of the CPU backend do."""

    @pytest.mark.exhaustive
    @pytest.mark.parametrize(
        ("family", "held"),
        [
            (NormalInverseGaussian, {"fixed": {"mu": MU}}),
            (VarianceGamma, {"bounded": True}),
            (VarianceGamma, {"fixed": {"mu": MU, "gamma": 0.0, "alpha": 2.2}}),
            (NormalInverseGamma, {"fixed": {"mu": MU}, "symmetric": True}),
            (Hyperbolic, {"symmetric": True}),
            (GeneralizedHyperbolic, {"bounded": True}),
            (GeneralizedHyperbolic, {"fixed": {"p": 1.2}}),
            (GeneralizedHyperbolic, {"fixed": {"p": -0.5}}),
        ],
    )
    def test_ends(self, family, held):
        X = make(family).rvs(ROWS, seed=5)
        start = family.default_init(X)
        here, there = (
            BatchEMFitter(**held, **TIGHT, **backend).run(start, X) for backend in ({}, BOTH)
        )
        assert there.converged
        assert_same_end(here, there)

    @pytest.mark.exhaustive
    def test_mu_held_at_a_row_with_a_cusp(self):
        """E[1/Y] is infinite at that row, and the M-step does without."""
        X = VarianceGamma.from_classical(
            mu=[0.1], gamma=[0.05], sigma=[[1.0]], alpha=0.8, beta=0.8
        ).rvs(ROWS, seed=0)
        row = X[np.argmin(np.abs(X[:, 0] - 0.1))]
        start = VarianceGamma.default_init(X)
        here, there = (
            BatchEMFitter(fixed={"mu": row}, **TIGHT, **backend).run(start, X)
            for backend in ({}, BOTH)
        )
        assert 0.5 < there.model.alpha < 1.0
        assert there.status is Status.CUSP
        assert there.model.mu == row
        assert_same_end(here, there)

    @pytest.mark.exhaustive
    def test_rules(self):
        X = make(NormalInverseGamma).rvs(ROWS, seed=5)
        fits = (
            NormalInverseGamma.default_init(X).fit(
                X, symmetric=True, eta_update=EWMAUpdate(0.5), **backend
            )
            for backend in ({}, BOTH)
        )
        here, there = fits
        assert there.n_iter == here.n_iter
        np.testing.assert_allclose(there.log_likelihoods, here.log_likelihoods, atol=1e-10)


class TestTraces:
    """Constraints under `jax.jit` and `jax.vmap`."""

    @pytest.mark.exhaustive
    def test_a_batch(self):
        """mu and alpha differ by lane, and the start does not have them."""
        import jax
        import jax.numpy as jnp

        batch = np.stack([make(VarianceGamma).rvs(ROWS, seed=seed) for seed in range(3)])
        locations, shapes = MU + 0.1 * np.arange(3)[:, None], np.array([1.5, 2.2, 4.0])
        start = VarianceGamma.default_init(batch[0])

        def fit(x, mu, alpha):
            return start.fit(x, symmetric=True, fixed={"mu": mu, "alpha": alpha}, **BOTH)

        with jax.enable_x64(True):
            fits = jax.jit(jax.vmap(fit))(jnp.asarray(batch), locations, shapes)
            fits, bic = jax.tree.map(np.asarray, fits), np.asarray(fits.bic)
        assert fits.converged.all()
        assert fits.held == ("mu", "gamma", "alpha")
        for i, x in enumerate(batch):
            fixed = {"mu": locations[i], "alpha": float(shapes[i])}
            single = start.fit(x, symmetric=True, fixed=fixed)
            assert fits.n_passes[i] == single.n_passes
            np.testing.assert_array_equal(fits.model.mu[i], locations[i])
            np.testing.assert_array_equal(fits.model.gamma[i], 0.0)
            assert fits.model.alpha[i] == shapes[i]
            np.testing.assert_allclose(fits.log_likelihood[i], single.log_likelihood, rtol=1e-12)
            np.testing.assert_allclose(bic[i], single.bic, rtol=1e-12)

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("infinite", [False, True])
    def test_orders(self, infinite):
        """Also from a start with an infinite E[1/Y], which no law of the held order has."""
        import jax
        import jax.numpy as jnp

        X = make(GeneralizedHyperbolic).rvs(ROWS, seed=5)
        start = GeneralizedHyperbolic.default_init(X)
        if infinite:
            start = start.at(start.normal, (0.8, 1.0, 0.0))
        fitter = BatchEMFitter(bounded=True, **TIGHT, **BOTH)
        with jax.enable_x64(True):
            traced = jax.jit(lambda x: fitter.fit(start, x))(jnp.asarray(X))
        single = fitter.run(start, X)
        assert Status.of(traced.code) is single.status
        # A fit that is not traced is compared with special cases.
        assert traced.n_passes <= single.n_passes
        np.testing.assert_allclose(traced.log_likelihood, single.log_likelihood, rtol=1e-10)

    def test_what_a_trace_cannot_do_is_said(self):
        import jax

        X = make(NormalInverseGamma).rvs(ROWS, seed=0)
        start = NormalInverseGaussian.default_init(X)
        for keywords in ({"n_init": 2}, {"algorithm": "mcecm"}, {"eta_update": OwnRule()}):
            fitter = BatchEMFitter(**keywords, **BOTH)
            with pytest.raises(TypeError, match="with algorithm 'em' and a known rule"):
                jax.jit(lambda x, fitter=fitter: fitter.fit(start, x))(X)
        held = BatchEMFitter(symmetric=True, **BOTH)
        with pytest.raises(TypeError, match="a fit cannot be differentiated"):
            jax.grad(lambda x: held.fit(start, x).model.mu.sum())(X)


class OwnRule:
    """A rule of the user's."""

    def __call__(self, previous, batch, step):
        return batch


class TestTrustRegion:
    """An extrapolated step makes X hardly narrower than EM's own."""

    # Two clusters of unequal spread.
    X = np.array([
        [4.3, 2.3], [5.6, 1.4], [4.9, -4.0], [-0.2, 0.1], [0.1, -0.3], [0.2, 0.0], [-0.5, 0.0],
        [-0.1, -0.6], [-0.3, -0.1], [4.8, -0.5], [3.7, 1.9], [0.0, -0.4], [0.0, 0.2], [4.7, -2.2],
        [4.0, -0.7], [4.6, -1.7], [-0.3, 0.4], [-0.4, 0.2], [5.2, 4.9], [-0.3, 0.2],
    ])  # fmt: skip

    def test_a_singular_sigma_is_no_trap(self):
        """Without a trust region this fit ends at -73.7, with a nearly singular Sigma.

        Rows of weight 0 fill the array up, so that the program is that of other tests.
        """
        start = NormalInverseGaussian.default_init(self.X)
        n, weights = len(self.X), (np.arange(ROWS) < len(self.X)).astype(float)
        X = np.concatenate([self.X, np.zeros((ROWS - n, 2))])
        result = start.fit(X, weights=weights, **TIGHT, **BOTH)
        assert result.converged
        assert result.log_likelihood == pytest.approx(-64.0949, abs=1e-4)

    @pytest.mark.parametrize("symmetric", [False, True])
    @pytest.mark.parametrize("gauge", [1.0, 100.0])
    def test_what_is_trusted(self, symmetric, gauge):
        import jax

        from nvmix.backends.jax.em.m_step import Held, is_trusted
        from nvmix.backends.jax.gig.solve import GIG, SubordinatorKind

        L, held = np.linalg.cholesky([[1.0, 0.3], [0.3, 2.0]]), Held(SubordinatorKind(GIG))
        held = replace(held, symmetric=symmetric)

        def statistics(narrower, gauge):
            scale = L @ np.diag([1.0, 1.0 / narrower])
            law = {"mu": MU, "gamma": [0.0, 0.0], "sigma": scale @ scale.T}
            model = NormalInverseGaussian.from_classical(**law, mu_ig=1.2, lam=1.5)
            return model.rescaled(gauge).expectation_params().in_frame(np.ones(2), np.eye(2))

        def trusted(proposed):
            with jax.enable_x64(True):
                return bool(jax.jit(is_trusted)(proposed, statistics(1.0, 1.0), held))

        assert trusted(statistics(0.1, gauge))
        assert trusted(statistics(1.49, gauge))
        assert not trusted(statistics(1.51, gauge))
        assert not trusted(replace(statistics(1.0, 1.0), log_y=np.nan))
