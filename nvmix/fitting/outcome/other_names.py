"""Errors for attributes that do not exist: what other packages call a thing, and its name here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# By the name in lower case and without underscores.
OF_MODELS: Final = {
    "var": "nvmix.risk.value_at_risk(model, weights, level)",
    "valueatrisk": "nvmix.risk.value_at_risk(model, weights, level)",
    "es": "nvmix.risk.expected_shortfall(model, weights, level)",
    "cvar": "nvmix.risk.expected_shortfall(model, weights, level)",
    "expectedshortfall": "nvmix.risk.expected_shortfall(model, weights, level)",
    "quantile": "ppf(q), of a model of one column",
    "percentile": "ppf(q), of a model of one column",
    "sample": "rvs(n, seed)",
    "portfolio": "linear(weights)",
    "transform": "linear(A, b)",
    "correlation": "corr()",
    "covariance": "cov()",
    "scale": "sigma()",
    "params": "mu, gamma, sigma() and subordinator",
    "parameters": "mu, gamma, sigma() and subordinator",
    "getparams": "mu, gamma, sigma() and subordinator",
    "score": "marginal_log_likelihood(X), the mean log-density",
    "scoresamples": "log_prob(X)",
    "loglik": "log_prob(X).sum(), or log_likelihood of a fit's result",
    "loglikelihood": "log_prob(X).sum(), or log_likelihood of a fit's result",
    "aic": "aic of a fit's result",
    "bic": "bic of a fit's result",
    "summary": "print(model), and summary() of a fit's result",
    "plot": "nvmix.utils.plotting, or pdf(x) and a plotting library",
    "logpdf": "log_prob(x), or logpdf(x)",
    "mode": "mu if gamma is 0, else scipy.optimize.minimize of -log_prob from mean()",
    "copy": "the model itself, which nothing changes, or dataclasses.replace(model, ...)",
    "tojson": "save(path), or json.dumps(model.to_dict())",
    "df": "StudentT, which has it, or 2 alpha of a NormalInverseGamma",
}
OF_RESULTS: Final = {
    "params": "model.mu, model.gamma, model.sigma() and model.subordinator",
    "mu": "model.mu",
    "gamma": "model.gamma",
    "sigma": "model.sigma()",
    "llf": "log_likelihood",
    "loglik": "log_likelihood",
    "bse": "standard_errors()",
    "confint": "standard_errors().confidence_intervals()",
    "covparams": "standard_errors().covariance",
    "predict": "model.log_prob(X) or model.conditional(...)",
    "plot": "nvmix.utils.plotting",
    "tojson": "save(path), or json.dumps(result.to_dict())",
}


def no_attribute(owner: object, name: str, names: Mapping[str, str]) -> AttributeError:
    """The error for an attribute, which says what has that role here, if anything has."""
    ours = names.get(name.lower().replace("_", ""))
    use = "" if ours is None else f": use {ours}"
    msg = f"{type(owner).__name__!r} object has no attribute {name!r}{use}"
    return AttributeError(msg, name=name, obj=owner)
