"""The course's web pages in a real browser: read, searched, by keyboard, on a phone."""

from __future__ import annotations

import base64
import importlib.util
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from page_tools import wait_for
from site_tools import files
from test_browser import browser, pytestmark, requested, resize, webdriver  # noqa: F401

pytestmark = [
    *pytestmark[1:],
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("site"),
]
LESSON, ENTER, TAB = "notebooks/00_start_here.html", "\ue007", "\ue004"
#: What a key can reach, as far as it is to be seen.
REACHABLE = """
const wanted = "a[href], button, input, select, textarea, summary, [tabindex='0']";
return [...document.querySelectorAll(wanted)].filter(e => e.checkVisibility(
  {visibilityProperty: true, opacityProperty: true}) && !e.disabled
  && e.tabIndex >= 0 && e.getClientRects().length && !e.closest("[inert]"));
"""
SIDEWAYS = """
const width = document.documentElement.clientWidth;
return {
  page: document.documentElement.scrollWidth - width,
  first: [...document.querySelectorAll("main *")].filter(
    e => e.getBoundingClientRect().right > width + 1
  ).slice(0, 3).map(e => e.outerHTML.slice(0, 120)),
};
"""
AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(found => done(
  found.violations.filter(v => ["serious", "critical"].includes(v.impact)).map(
    v => v.id + ": " + v.nodes.length + " × " + v.nodes[0].html.slice(0, 200)
  )
), failed => done([String(failed)]));
"""
UNSEEN = """
return [...document.images].filter(i => i.checkVisibility() && !i.naturalWidth).map(
  i => i.src
);
"""

FIGURES = """
return [...document.querySelectorAll(".cell_output img")].map(
  i => ({shown: i.getBoundingClientRect().width, drawn: i.naturalWidth})
);
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(site):
    """The site, served on this machine."""
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def names(site):
    return files(site)


@pytest.fixture(scope="module")
def axe():
    found = importlib.util.find_spec("axe_core_python")
    if found is None:
        pytest.skip("axe-core-python is missing")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def show(browser, address):  # noqa: F811
    """Open a page, at a width and in a scheme."""

    def open_page(name, width=1280, scheme="light"):
        resize(browser, width, scheme)
        browser.get(f"{address}/{name}")
        wait_for(
            lambda: browser.execute_script("return document.readyState"),
            lambda state: state == "complete",
        )
        return browser

    yield open_page
    resize(browser, 1280)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(show, names, axe, scheme):
    found = {}
    for name in names:
        page = show(name, scheme=scheme)
        shown = page.execute_script("return document.documentElement.dataset.theme")
        assert shown == scheme
        page.execute_script(axe)
        page.set_script_timeout(120)
        found[name] = page.execute_async_script(AXE)
    assert {name: serious for name, serious in found.items() if serious} == {}


def test_axe_finds_nothing_serious_on_a_phone(show, names, axe):
    found = {}
    for name in ("index.html", LESSON, "docs/glossary.html", "exercises.html"):
        page = show(name, width=360)
        page.execute_script(axe)
        found[name] = page.execute_async_script(AXE)
    assert {name: serious for name, serious in found.items() if serious} == {}


def test_no_page_scrolls_sideways_on_a_phone(show, names):
    wide = {}
    for name in names:
        found = show(name, width=360).execute_script(SIDEWAYS)
        if found["page"] > 0:
            wide[name] = found
    assert wide == {}


def test_words_in_a_figure_stay_readable_on_a_phone(show):
    """A wide figure scrolls in its frame; shrunk to it, words had three pixels."""
    figures = show(LESSON, width=360).execute_script(FIGURES)
    wide = [f for f in figures if f["drawn"] > 600]
    assert wide
    assert all(f["shown"] >= 600 for f in wide), figures


def test_every_picture_is_shown_and_no_other_server_is_asked(show, names, browser):  # noqa: F811
    list(requested(browser))
    for name in names:
        page = show(name)
        page.execute_script("[...document.images].forEach(i => i.loading = 'eager')")
        wait_for(partial(page.execute_script, UNSEEN), lambda unseen: not unseen)
    asked = [u for u in requested(browser) if not u.startswith(("data:", "blob:"))]
    assert len(asked) > len(names)
    assert [u for u in asked if not u.startswith("http://127.0.0.1:")] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_keyboard_reaches_everything(show, width):
    page = show(LESSON, width=width)
    everything = page.execute_script(REACHABLE)
    reached, first = set(), None
    for _ in range(2 * len(everything) + 20):
        webdriver.ActionChains(page).send_keys(TAB).perform()
        at = page.switch_to.active_element
        first = first or at
        if at.id in reached and at.tag_name != "body":
            break
        reached.add(at.id)
    assert "skip" in first.get_attribute("href") or "main" in first.get_attribute(
        "href"
    )
    left = [
        e.get_attribute("outerHTML")[:150] for e in everything if e.id not in reached
    ]
    assert left == []
    assert len(reached) > 30


def test_skip_link_leads_to_the_text(show):
    page = show(LESSON)
    webdriver.ActionChains(page).send_keys(TAB).send_keys(ENTER).perform()
    webdriver.ActionChains(page).send_keys(TAB).perform()
    inside = "return document.activeElement.closest('main') !== null"
    assert page.execute_script(inside)


def test_solution_opens_with_the_keyboard(show):
    page = show(LESSON)
    fold = page.find_element("css selector", "details.solution")
    code = fold.find_element("css selector", "pre")
    assert not code.is_displayed()
    page.execute_script("arguments[0].querySelector('summary').focus()", fold)
    webdriver.ActionChains(page).send_keys(ENTER).perform()
    assert code.is_displayed()


def seen(page, css):
    found = page.find_elements("css selector", css)
    return [element for element in found if element.is_displayed()]


def test_menu_opens_with_the_keyboard_on_a_phone(show):
    page = show(LESSON, width=360)
    assert not seen(page, "a[href*='01_cats_vs_dogs']:is(nav a)")
    (button,) = seen(page, "button.primary-toggle")
    button.send_keys(ENTER)
    wait_for(lambda: seen(page, "a[href*='01_cats_vs_dogs']:is(nav a)"))


def test_launch_menu_opens_with_the_keyboard(show):
    page = show(LESSON)
    button = page.find_element("css selector", ".dropdown-launch-buttons button")
    link = page.find_element("css selector", ".dropdown-launch-buttons a")
    assert not link.is_displayed() and button.accessible_name
    button.send_keys(ENTER)
    wait_for(link.is_displayed)


def test_search_finds_a_lesson_with_the_keyboard(show):
    page = show("index.html")
    webdriver.ActionChains(page).key_down("\ue009").send_keys("k").key_up(
        "\ue009"
    ).perform()
    wait_for(lambda: page.switch_to.active_element.tag_name == "input")
    page.switch_to.active_element.send_keys("perplexity" + ENTER)
    found = wait_for(lambda: page.find_elements("css selector", "#search-results li a"))
    assert any("06_ulmfit_spam.html" in a.get_attribute("href") for a in found)


def test_reader_chooses_dark_with_the_keyboard(show):
    page = show("index.html")
    colour = "return getComputedStyle(document.body).backgroundColor"
    before = page.execute_script(colour)
    (button,) = seen(page, "button.theme-switch-button")
    button.send_keys(ENTER)
    wait_for(lambda: seen(page, "button[data-mode='dark']"))[0].send_keys(ENTER)
    wait_for(lambda: page.execute_script(colour) != before)
    page.execute_script("localStorage.clear()")


def test_print_view_has_the_lesson_and_no_menus(show):
    page = show(LESSON, width=794)
    size = {"width": 794, "height": 1123, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = partial(seen, page)
    assert [h.text.startswith("00 · Start here") for h in shown("h1")] == [True]
    assert len(shown("article .cell_output img")) == 7
    for css in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article"):
        assert not shown(css)
    assert shown("details.solution summary") and not shown("details.solution pre")
    found = page.execute_script(SIDEWAYS)
    printed = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert found["page"] <= 0, found["first"]
    pdf = base64.b64decode(printed["data"])
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 5
