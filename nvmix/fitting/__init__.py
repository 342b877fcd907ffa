"""Fitting by EM."""

from nvmix.fitting.em import BatchEMFitter, EMResult, IncrementalEMFitter

__all__ = ["BatchEMFitter", "EMResult", "IncrementalEMFitter"]
