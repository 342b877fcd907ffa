"""Derivatives of log Gamma on x > 0: recurrence to x >= 10, then the Stirling series."""

import math

from nvmix.backends.cpu.jit import device

_ASYMPTOTIC = 10.0


@device
def digamma(x: float) -> float:
    """psi(x), DLMF 5.5.2 and 5.11.2; x > 0, error 2e-15 relative to max(1, |psi|)."""
    shift = 0.0
    while x < _ASYMPTOTIC:
        shift -= 1.0 / x
        x += 1.0
    y = 1.0 / (x * x)
    series = 1.0 / 240.0 - y * (1.0 / 132.0 - y * (691.0 / 32760.0 - y / 12.0))
    series = y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y * series)))
    return shift + math.log(x) - 0.5 / x - series


@device
def trigamma(x: float) -> float:
    """psi'(x), DLMF 5.15.5 and 5.15.8; x > 0, error 2e-15 relative."""
    shift = 0.0
    while x < _ASYMPTOTIC:
        shift += 1.0 / (x * x)
        x += 1.0
    y = 1.0 / (x * x)
    series = 1.0 / 30.0 - y * (5.0 / 66.0 - y * (691.0 / 2730.0 - y * 7.0 / 6.0))
    series = y * (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * series)))
    return shift + (1.0 + 0.5 / x + series) / x


@device
def log_minus_digamma(x: float) -> float:
    """Log x - psi(x), by a series at large x, where they cancel; x > 0, error 1e-14 relative."""
    if x < _ASYMPTOTIC:
        return math.log(x) - digamma(x)
    y = 1.0 / (x * x)
    series = 1.0 / 240.0 - y * (1.0 / 132.0 - y * (691.0 / 32760.0 - y / 12.0))
    series = y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y * series)))
    return 0.5 / x + series
