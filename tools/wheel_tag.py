"""A hook of hatchling's: a wheel with compiled kernels is for one Python and one platform.

So pip takes it where its kernels run and the plain wheel elsewhere, and an index has room for one
of each. A wheel without them is for all.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = "nvmix/backends/cpu/compiler/compiled"


class WheelTag(BuildHookInterface):
    """Asks for the tag of this Python where `ship_kernels.py` has put kernels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called before a wheel is built."""
        if (Path(self.root) / COMPILED).is_dir():
            build_data |= {"pure_python": False, "infer_tag": True}
