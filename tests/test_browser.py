"""The built site in Chromium: what a reader sees, hears and clicks."""

import functools
import http.server
import os
import shutil
import threading
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

import built_site
from built_site import ROOT, SITE

pytestmark = [pytest.mark.site, pytest.mark.browser]
PAGES = [*built_site.pages(), "search.html", "genindex.html"]
VIEW = "application/vnd.jupyter.widget-view+json"
WITH_WIDGETS = [
    page
    for page in PAGES
    if (SITE / page).exists() and VIEW in (SITE / page).read_text()
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and does not report it."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address():
    """The built site, served on this machine."""
    if not (SITE / "index.html").exists():
        built_site.lacking("the site is not built; run `make book`")
    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    path = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, NAMES)), ""
    )
    if not path:
        built_site.lacking("there is no Chromium; run `tools/system.sh chromium`")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Open a page; ``trouble`` collects errors and requests to other hosts."""
    contexts = []

    def visit(page, *, width=1280, theme="light", base=address):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme
        )
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(120_000)  # a busy machine is no fault of the page
        tab.trouble = []
        tab.on("pageerror", lambda error: tab.trouble.append(f"error: {error}"))
        tab.on(
            "console",
            lambda said: said.type == "error" and tab.trouble.append(said.text),
        )
        tab.on("requestfailed", lambda sent: tab.trouble.append(f"failed: {sent.url}"))
        tab.on("request", lambda sent: _own(sent.url) or tab.trouble.append(sent.url))
        tab.goto(base + page, wait_until="load")
        tab.evaluate("() => window.MathJax?.startup?.promise")
        return tab

    yield visit
    for context in contexts:
        context.close()


def _own(url):
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "file") or parts.hostname == "127.0.0.1"


@pytest.mark.parametrize("page", PAGES)
def test_page(visit, page):
    """One visit: errors, other hosts, equations, light, dark, and on a phone."""
    tab = visit(page)
    tab.wait_for_load_state("networkidle")
    found = list(tab.trouble)
    found += unrendered(tab)
    tab.add_script_tag(path=AXE)
    tab.add_style_tag(content="* { transition: none !important }")
    found += inaccessible(tab, "light", "{}")
    tab.emulate_media(color_scheme="dark")
    found += inaccessible(tab, "dark", "{ runOnly: ['color-contrast'] }")
    tab.set_viewport_size({"width": 360, "height": 740})
    found += overflowing(tab)
    assert not found, "\n".join(found)


def unrendered(tab):
    """Equations that MathJax left alone or could not read."""
    if tab.locator("mjx-merror").count():
        yield "an equation with an error"
    if tab.locator("article mjx-container").count() < tab.locator(".math").count():
        yield "an equation that is not rendered"


def inaccessible(tab, theme, rules):
    """Serious violations that axe finds."""
    tab.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
    for rule in tab.evaluate(f"axe.run({rules}).then((found) => found.violations)"):
        if rule["impact"] in ("serious", "critical"):
            first, number = rule["nodes"][0]["html"][:200], len(rule["nodes"])
            yield f"{theme}: {rule['id']}, {number} ×: {first}"


def overflowing(tab):
    """Elements that stand out of a narrow page, unless a box of theirs scrolls."""
    return tab.evaluate("""() => {
        const inside = (e) => e.closest("pre, table, .math, .output, .cell_output");
        const width = document.documentElement.clientWidth;
        const found = [...document.querySelectorAll("article *")]
            .filter((e) => e.getBoundingClientRect().right > width + 1)
            .filter((e) => !inside(e) && e.getClientRects().length)
            .map((e) => `overflows: ${e.tagName} ${e.textContent.slice(0, 60)}`);
        if (document.documentElement.scrollWidth > width)
            found.push("the page scrolls sideways");
        return found;
    }""")


def test_theme_button_changes_the_page(visit):
    tab = visit("book/intro.html")
    colour = "getComputedStyle(document.body).backgroundColor"
    seen = {tab.evaluate(colour)}
    for _ in range(3):  # light, dark, as the system says
        tab.locator("button.theme-switch-button:visible").first.click()
        seen.add(tab.evaluate(colour))
    assert len(seen) == 2


@pytest.mark.parametrize("base", ["http", "file"])
def test_search_finds_cecv(visit, address, base):
    base = address if base == "http" else SITE.as_uri() + "/"
    tab = visit("search.html?q=CECV", base=base)
    # The results come in one after the other.
    tab.locator("#search-results ul.search li a[href*='intro.html']").first.wait_for()


@pytest.mark.parametrize("page", [PAGES[0], *WITH_WIDGETS[:2]])
def test_page_works_from_a_file(visit, page):
    tab = visit(page, base=SITE.as_uri() + "/")
    assert tab.trouble == []
    assert tab.locator("article h1").first.is_visible()


def _seen(output):
    """The pictures that a widget shows now, and what they say is seen."""
    return output.locator("img, svg.plot, canvas").evaluate_all(
        """found => found
            .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height > 50)
            .map((e) => [e.src || e.id, e.alt])"""
    )


def _move(tab, control, how):
    """Change a slider or a menu by key or by mouse."""
    control.scroll_into_view_if_needed()
    menu = control.evaluate("e => e.tagName") == "SELECT"
    if how == "key":
        control.press("ArrowDown" if menu else "ArrowRight")
    elif menu:  # its list is drawn by the system, out of the page
        control.select_option(index=1)
    else:
        box = control.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]")
        box = box.bounding_box()
        x, y = box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2
        tab.mouse.click(x, y)
    tab.wait_for_timeout(300)


@pytest.mark.parametrize("base", ["http", "file"])
@pytest.mark.parametrize("how", ["key", "mouse"])
@pytest.mark.parametrize("page", WITH_WIDGETS)
def test_controls_change_their_picture(visit, address, page, how, base):
    tab = visit(page, base=address if base == "http" else SITE.as_uri() + "/")
    tab.locator(".jupyter-widgets").first.wait_for()
    tab.wait_for_timeout(500)
    outputs = tab.locator("div.cell_output:has(.jupyter-widgets)")
    assert outputs.count(), "the page has widgets, but none came alive"
    for output in outputs.all():
        controls = output.locator(".noUi-handle, select").all()
        assert controls, "a widget has nothing to move"
        for control in controls:
            before = _seen(output)
            assert before, "the widget shows no picture"
            assert all(len(alt.split()) > 3 for _, alt in before)
            _move(tab, control, how)
            after = _seen(output)
            assert [source for source, _ in after] != [source for source, _ in before]
            assert [alt for _, alt in after] != [alt for _, alt in before]
    assert tab.trouble == []


@pytest.mark.parametrize("page", WITH_WIDGETS[:3])
def test_a_slider_says_the_value_that_is_seen(visit, page):
    tab = visit(page)
    handles = tab.locator(".noUi-handle")
    handles.first.wait_for()
    for handle in handles.all():
        handle.press("ArrowRight")
        tab.wait_for_timeout(100)
        slider = handle.locator("xpath=ancestor::*[contains(@class, 'widget-slider')]")
        seen = slider.locator(".widget-readout").inner_text()
        assert handle.get_attribute("aria-valuetext") == seen
        assert handle.get_attribute("aria-label")


@pytest.mark.parametrize("page", WITH_WIDGETS)
def test_print_and_readers_without_scripts_get_a_picture(browser, address, visit, page):
    tab = visit(page)
    tab.locator(".jupyter-widgets").first.wait_for()
    stills = tab.locator(".still img").all()
    assert stills
    assert not any(still.is_visible() for still in stills)
    assert not any(field.is_visible() for field in tab.locator(".live-only").all())
    tab.emulate_media(media="print")
    assert all(still.is_visible() for still in stills)
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(address + page)
    assert all(still.is_visible() for still in plain.locator(".still img").all())
    context.close()


def _places(tab):
    """Where the dots of the moving picture are."""
    return tab.locator(".cecv-movie circle").evaluate_all(
        "dots => dots.map((dot) => Math.round(dot.getBoundingClientRect().x))"
    )


def test_moving_picture_moves_until_it_is_paused(visit):
    tab = visit("book/intro.html")
    first = _places(tab)
    tab.wait_for_timeout(2500)
    assert _places(tab) != first
    tab.locator("#cecv-pause").check()
    paused = _places(tab)
    tab.wait_for_timeout(2500)
    assert _places(tab) == paused


def test_moving_picture_stands_still_for_those_who_prefer_it(visit):
    tab = visit("book/intro.html")
    tab.emulate_media(reduced_motion="reduce")
    first = _places(tab)
    tab.wait_for_timeout(2500)
    assert _places(tab) == first
    assert not tab.locator("#cecv-pause").is_visible()
    shown = tab.locator(".cecv-movie .captions span").evaluate_all(
        "spans => spans.filter((s) => getComputedStyle(s).opacity === '1').length"
    )
    assert shown == 1
