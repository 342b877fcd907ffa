"""Copy the notebooks and the changelog, which live elsewhere in the repository, into the site."""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

_LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)#\s]+)")


def _pages(docs: Path) -> dict[Path, Path]:
    """Where each page lives, and where the site has it."""
    repository = docs.parent
    pages = {
        notebook: docs / "tutorials" / notebook.name
        for notebook in sorted((repository / "notebooks").glob("*.md"))
    }
    pages[repository / "CHANGELOG.md"] = docs / "about" / "changelog.md"
    return pages


def _copy(docs: Path) -> None:
    """Copy every page, with links that lead from its new place to where they led before."""
    pages = _pages(docs)
    for page, copy in pages.items():

        def moved(link: re.Match[str], page: Path = page, copy: Path = copy) -> str:
            target = (page.parent / link[2]).resolve()
            return link[1] + os.path.relpath(pages.get(target, target), copy.parent)

        text = _LINK.sub(moved, page.read_text("utf-8"))
        if not copy.exists() or copy.read_text("utf-8") != text:
            copy.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Copy before Sphinx looks for pages."""
    app.connect("config-inited", lambda app, _config: _copy(Path(app.srcdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
