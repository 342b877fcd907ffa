"""Build a wheel with compiled kernels: ``python tools/ship_kernels.py DIRECTORY``.

Kernels are compiled for the processors of `nvmix.backends.cpu.compiler.shipped.LEVELS`, by the
Python and the numba that run this, which are those that the wheel's kernels are for. Others compile
their own.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import json

import nvmix
from nvmix.backends.cpu.compiler import cache, compilation, shipped

nvmix.warm_up()
for kernel in compilation.KERNELS:
    files = shipped.ShippedCache(kernel.py_func, cache.kernels_hash())
    for arguments, result in kernel.overloads.items():
        files.save_overload(arguments, result)
hashes = {path.name: shipped.sha256(path) for path in sorted(shipped.FOLDER.iterdir())}
(shipped.FOLDER / shipped.HASHES).write_text(json.dumps(hashes, indent=1))
"""


def main(target: str) -> None:
    """Compile, build the wheel, and leave the tree as it was."""
    sys.path.insert(0, str(ROOT))
    from nvmix.backends.cpu.compiler.shipped import FOLDER, LEVELS

    with tempfile.TemporaryDirectory() as empty:
        FOLDER.mkdir()
        try:
            level = {"NUMBA_CPU_NAME": LEVELS[platform.machine()], "NUMBA_CPU_FEATURES": ""}
            environment = os.environ | level | {"NUMBA_CACHE_DIR": empty}
            subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, check=True)
            build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", target, str(ROOT)]
            subprocess.run(build, check=True)
        finally:
            shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main(*sys.argv[1:])
