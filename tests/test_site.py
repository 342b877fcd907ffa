"""The site in a browser: sphinx-build -b html docs docs/_build/html, then pytest -m site.

NVMIX_SITE is the folder of a site that stands elsewhere, CHROMIUM a browser that does, and with
NVMIX_SCREENSHOTS each page that a test visits is drawn into that folder.
"""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.site

SITE = Path(
    os.environ.get("NVMIX_SITE", Path(__file__).parents[1] / "docs" / "_build" / "html")
).resolve()
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
FRONT = "index.html"
FAMILY = "api/generated/nvmix.NormalInverseGaussian.html"
NOTEBOOK = "tutorials/01_batch_em.html"
WITH_TABLES = "guide/risk.html"


@pytest.fixture(scope="module")
def address():
    """Where the site is served, on this machine."""
    if not (SITE / FRONT).exists():
        pytest.skip(f"no site in {SITE}: build it with sphinx-build -b html docs docs/_build/html")
    handler = functools.partial(_Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _failure(asked):
    """What is wrong with a request that failed: nothing if the visit of the next page ended it."""
    return [] if asked.failure == "net::ERR_ABORTED" else [f"failed: {asked.url} ({asked.failure})"]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Write nothing."""


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium, or name it in CHROMIUM")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address, request):
    """Open pages; at the end of a test none may have complained or asked another host."""
    contexts, complaints = [], []

    def visit(page_name, *, viewport=DESKTOP, theme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda asked: complaints.extend(_failure(asked)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((address, "data:", "blob:"))
                else complaints.append(f"another host: {asked.url}")
            ),
        )
        page.goto(address + page_name, wait_until="load")
        return page

    yield visit
    folder = os.environ.get("NVMIX_SCREENSHOTS")
    for number, context in enumerate(contexts):
        if folder:
            name = request.node.name.replace("/", "_")
            context.pages[0].screenshot(path=Path(folder) / f"{name}_{number}.png")
        context.close()
    assert complaints == []


def _is_wide(page):
    """Whether the page, or the box of its article, can be scrolled sideways."""
    return page.evaluate(
        "[document.documentElement, document.querySelector('.bd-article-container')]"
        ".some(box => box && box.scrollWidth > box.clientWidth)"
    )


def _pictures(page):
    """Width of each picture of the article, 0 for one that was not loaded."""
    return page.eval_on_selector_all(
        "article img", "pictures => pictures.map(p => (p.loading = 'eager', p.naturalWidth))"
    )


def test_front_page(visit):
    page = visit(FRONT)
    assert page.title().startswith("nvmix")
    assert page.locator("article .sd-card").count() >= 6
    assert _pictures(page)
    assert min(_pictures(page)) > 0
    page.locator("article .sd-card", has_text="Five minutes").click()
    page.wait_for_url("**/five_minutes.html")
    assert "expected shortfall" in page.locator("article").inner_text().lower()


def test_search_finds_the_page_on_risk(visit):
    page = visit("search.html?q=expected+shortfall")
    page.wait_for_selector("#search-results li a", timeout=60_000)
    page.wait_for_function("!document.querySelector('#search-results h2 .dots, #search-progress')")
    links = page.eval_on_selector_all(
        "#search-results li a", "links => links.map(l => l.getAttribute('href').split(/[?#]/)[0])"
    )
    assert "guide/risk.html" in [link.removeprefix("./") for link in links[:3]]


def test_the_search_box_of_a_page_leads_there(visit):
    page = visit(FRONT)
    page.keyboard.press("Control+k")
    page.locator("input[type=search]:visible").first.fill("skew-t")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.wait_for_selector("#search-results li a", timeout=60_000)


def test_reference_of_a_family(visit):
    page = visit(FAMILY)
    text = page.locator("article").inner_text()
    assert "Normal-inverse Gaussian" in text
    for member in ("log_prob", "fit", "ppf", "conditional", "lam"):
        assert page.locator(f"[id='nvmix.NormalInverseGaussian.{member}']").count() == 1
    assert page.locator("mjx-container").count() > 0


def test_notebook_has_outputs_and_pictures(visit):
    page = visit(NOTEBOOK)
    page.wait_for_load_state("networkidle")
    assert len(_pictures(page)) >= 2
    assert min(_pictures(page)) > 0
    assert "Converged" in page.locator(".cell_output").all_inner_texts()[2]
    checks = page.locator("details.hide", has_text="assert").first
    assert checks.get_attribute("open") is None


@pytest.mark.parametrize("name", [FRONT, FAMILY, NOTEBOOK])
def test_dark_mode(visit, name):
    page = visit(name, theme="dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = page.evaluate("getComputedStyle(document.querySelector('article p')).color")
    assert _brightness(background) < 60
    assert _brightness(ink) > 150
    assert (
        _brightness(visit(name).evaluate("getComputedStyle(document.body).backgroundColor")) > 240
    )


def _brightness(color):
    """Mean of red, green and blue of rgb(...)."""
    return sum(map(float, color[color.index("(") + 1 : -1].split(",")[:3])) / 3


@pytest.mark.parametrize("name", [FRONT, WITH_TABLES, FAMILY, NOTEBOOK])
def test_phone_scrolls_down_only(visit, name):
    page = visit(name, viewport=PHONE)
    page.wait_for_load_state("networkidle")
    assert not _is_wide(page)


def test_every_page_on_a_phone(visit):
    """Formulas are drawn and nothing scrolls sideways; `visit` looks at consoles and requests."""
    page = visit(FRONT, viewport=PHONE)
    address = page.url.removesuffix(FRONT)
    wide, wrong = [], []
    for file in sorted(SITE.rglob("*.html")):
        name = file.relative_to(SITE).as_posix()
        if name.startswith("_"):
            continue
        page.goto(address + name, wait_until="load")
        page.evaluate("window.MathJax && MathJax.startup.promise")
        if _is_wide(page):
            wide.append(name)
        if page.locator("mjx-merror").count() > 0:
            wrong.append(name)
    assert (wide, wrong) == ([], [])
