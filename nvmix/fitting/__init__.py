"""Fitting by EM."""

from nvmix.fitting.em import BatchEMFitter, EMResult

__all__ = ["BatchEMFitter", "EMResult"]
