"""Write formulas as MathML, which browsers draw without a script."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    writer.body.append(convert(_in_one_environment(node.astext().strip()), display="block"))
    if node.get("number"):
        writer.body.append(f'<span class="eqno">({node["number"]})</span>')
    writer.body.append("</div>")
    raise nodes.SkipNode


def _in_one_environment(latex: str) -> str:
    r"""Lines that ``\\`` ends, which Sphinx takes as they are, aligned at ``&``."""
    bare = r"\\" in latex and r"\begin" not in latex
    return rf"\begin{{aligned}} {latex} \end{{aligned}}" if bare else latex


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, for ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
