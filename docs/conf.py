"""Settings of the site: sphinx-build -W --keep-going -b html docs docs/_build/html."""

import os
import sys
from pathlib import Path

from numpydoc.xref import DEFAULT_LINKS

import nvmix

# Each program of JAX that a cache has would say on loading that it was tuned for this processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Notebooks draw into their pages, whatever draws elsewhere.
os.environ.pop("MPLBACKEND", None)
DOCS = Path(__file__).parent
nvmix.warm_up()  # or the first page would show that it compiles
sys.path.insert(0, str(DOCS / "_extensions"))

project = "nvmix"
author = "the nvmix developers"
project_copyright = f"2026, {author}"
release = version = nvmix.__version__
# A release has the addresses of the repository that builds it, as in tools/addresses.py.
repository = os.environ.get("NVMIX_REPOSITORY", "").rstrip("/")
owner, _, name = repository.removeprefix("https://github.com/").partition("/")
html_baseurl = f"https://{owner.lower()}.github.io/{name}/" if repository else ""

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxext.opengraph",
    "sphinx-mathjax-offline",
    "copied_pages",
    "code_blocks",
    "reference",
]
exclude_patterns = ["_build", "_inventories", "_static", "_templates"]
templates_path = ["_templates"]
nitpicky = True
default_role = "autolink"
smartquotes = False

# Pages, and the notebooks, which are run once for each state of their code cells.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_cache_path = os.environ.get(
    "NVMIX_DOCS_CACHE", str(DOCS / "_build" / ".jupyter_cache")
)
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
# Of a block with prompts its input is copied, without outputs and tracebacks.
copybutton_exclude = ".linenos"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_copy_empty_lines = False

# Formulas are drawn by the MathJax that sphinx-mathjax-offline brings, without its menu.
mathjax3_config = {"options": {"enableMenu": False}, "chtml": {"scale": 0.92}}

# The reference: docstrings have the types, so signatures show names and defaults.
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
# In types, names of classes are links and other words are words.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = (
    {word: word for word in DEFAULT_LINKS}
    | {name: f"nvmix.{name}" for name in nvmix.__all__ if name[0].isupper()}
    | {"DataFrame": "pandas.DataFrame", "Axes": "matplotlib.axes.Axes"}
)

# Inventories of the few names that pages and docstrings link to, so that a build asks no host.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3/", "_inventories/python.txt"),
    "numpy": ("https://numpy.org/doc/stable/", "_inventories/numpy.txt"),
    "scipy": ("https://docs.scipy.org/doc/scipy/", "_inventories/scipy.txt"),
    "pandas": ("https://pandas.pydata.org/docs/", "_inventories/pandas.txt"),
    "sklearn": ("https://scikit-learn.org/stable/", "_inventories/sklearn.txt"),
    "jax": ("https://docs.jax.dev/en/latest/", "_inventories/jax.txt"),
    "matplotlib": ("https://matplotlib.org/stable/", "_inventories/matplotlib.txt"),
}

html_context = {"default_mode": "auto"}
html_theme = "pydata_sphinx_theme"
html_title = "nvmix"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_use_index = html_domain_indices = False
html_copy_source = False
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo_dark.svg"},
    "header_links_before_dropdown": 8,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
if repository:
    html_theme_options["github_url"] = repository

ogp_site_url = html_baseurl
ogp_image = "_images/fit.png"
ogp_social_cards = {"enable": False}
