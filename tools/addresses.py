"""A hook of hatchling's: the addresses that a release shows, and its README with links to them.

They are those of the repository that builds it, which NVMIX_REPOSITORY names: the workflow that
publishes sets it. A build without it, as from a clone, has no addresses and the README as it is. An
sdist has them written down, and a wheel that is built from it takes them from there.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "NVMIX_REPOSITORY"
# A picture or a link of Markdown to a file beside the README.
_RELATIVE = re.compile(r"(!?)\[([^]]*)\]\((?!https?:|#)([^)]+)\)")


def urls(repository: str) -> dict[str, str]:
    """Addresses by the names that PyPI knows."""
    owner, name = repository.split("/")[-2:]
    return {
        "Documentation": f"https://{owner.lower()}.github.io/{name}/",
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
    }


def absolute(text: str, repository: str, version: str) -> str:
    """Markdown whose relative links lead to the files of a release in the repository."""

    def link(match: re.Match[str]) -> str:
        picture, label, target = match.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}[{label}]({repository}/{kind}/v{version}/{target})"

    return _RELATIVE.sub(link, text)


class Addresses(MetadataHookInterface):
    """Adds what pyproject.toml calls dynamic, but for the version."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called for each build; what an sdist has written down is there already."""
        repository = os.environ.get(VARIABLE, "").rstrip("/")
        metadata.setdefault("urls", urls(repository) if repository else {})
        if "readme" not in metadata:
            text = (Path(self.root) / "README.md").read_text("utf-8")
            if repository:
                text = absolute(text, repository, metadata["version"])
            metadata["readme"] = {"content-type": "text/markdown", "text": text}
