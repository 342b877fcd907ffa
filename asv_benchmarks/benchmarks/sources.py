"""One pass over rows that are read as they are worked on, beside rows in memory."""

import tempfile
from pathlib import Path

import numpy as np

import nvmix

from .datasets import normal_block, simulated

ROWS, COLUMNS = 1_000_000, 5


class Pass:
    """E-step over the same rows from memory, a file and chunks."""

    params = ("memory", "file", "chunks")
    param_names = ("source",)

    def setup(self, source):
        self.model = nvmix.NormalInverseGaussian.from_classical(
            **normal_block(COLUMNS), mu_ig=1.0, lam=1.5
        )
        X = simulated(ROWS, COLUMNS)
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "rows.npy"
        np.save(path, X)
        parts = np.array_split(X, 10)
        self.data = {"memory": X, "file": path, "chunks": lambda: parts}[source]
        self.model.e_step(self.data)

    def teardown(self, _):
        self.folder.cleanup()

    def time_e_step(self, _):
        self.model.e_step(self.data)


class Steps:
    """200 steps of incremental EM on batches of 256 rows."""

    def setup(self):
        self.X = simulated(100_000, 3)
        self.start = nvmix.NormalInverseGaussian.default_init(self.X)
        self.fitter = nvmix.IncrementalEMFitter()
        self.fitter.fit(self.start, self.X, key=0)

    def time_fit(self):
        self.fitter.fit(self.start, self.X, key=0)
