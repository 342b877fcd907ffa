"""Benchmarks of nvmix, run by airspeed velocity, each in a process of its own."""

import os
from pathlib import Path

# Matrices here are small: BLAS threads that wake and wait add milliseconds of noise.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# JAX keeps compiled code between processes, as numba does.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent / "__pycache__/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Each piece of that code would say on loading that it was tuned for this processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
