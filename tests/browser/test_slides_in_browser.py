"""A deck in a real browser: by keyboard, for screen readers, on a phone, on paper."""

from __future__ import annotations

import pytest
from notebook_tools import NOTEBOOKS
from page_tools import wait_for
from test_browser import browser, pytestmark, requested, resize, webdriver  # noqa: F401
from test_site_in_browser import AXE, SIDEWAYS, axe  # noqa: F401
from test_teach import decks  # noqa: F401

pytestmark = [
    *pytestmark[1:],
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("teach"),
]
FIRST = NOTEBOOKS[0].stem
#: Show each slide; return those that are larger than the screen they were made for.
TOO_LARGE = """
return Reveal.getSlides().filter(slide => {
  const {h, v} = Reveal.getIndices(slide);
  Reveal.slide(h, v);
  return slide.scrollHeight > 720 || slide.scrollWidth > 1280;
}).map(slide => slide.textContent.trim().slice(0, 80));
"""
KINDS = """
const made = new Map(Reveal.getSlides().map(slide => [
  ["pre", "table", "img", ".kind", "ol", "ul", "a"].map(
    part => slide.querySelector(part) !== null).join(), slide]));
return [...made.values()].map(s => [Reveal.getIndices(s).h, Reveal.getIndices(s).v]);
"""
TITLES = """
return Reveal.getSlides().map(
  s => s.querySelector("h1, h2").innerText.split(/\\s+/).join(" "));
"""
NOW = """
const {h, v} = Reveal.getIndices();
return [h, v, document.querySelector(".aria-status").textContent];
"""


@pytest.fixture
def show(browser, decks):  # noqa: F811
    """Open a deck from a file, at a width."""

    def open_deck(name=FIRST, width=1280):
        resize(browser, width)
        browser.get((decks / f"{name}.html").as_uri())
        ready = "return window.Reveal !== undefined && Reveal.isReady();"
        wait_for(lambda: browser.execute_script(ready))
        return browser

    yield open_deck
    resize(browser, 1280)


def test_every_slide_fits(show):
    found = {path.stem: show(path.stem).execute_script(TOO_LARGE) for path in NOTEBOOKS}
    assert {name: slides for name, slides in found.items() if slides} == {}


def test_a_slide_that_does_not_fit_is_noticed(show):
    page = show()
    page.execute_script("Reveal.getSlides()[3].append(document.createElement('hr'));")
    page.execute_script("document.querySelector('hr').style.height = '800px';")
    assert len(page.execute_script(TOO_LARGE)) == 1


def test_space_leads_through_all_slides_and_each_is_read_out(show):
    page = show()
    count = page.execute_script("return Reveal.getTotalSlides();")
    titles, seen = page.execute_script(TITLES), []
    body = page.find_element("tag name", "body")
    for title in titles:
        seen.append(tuple(page.execute_script(NOW)[:2]))
        # Nothing is read out of the first slide; a busy browser reads late.
        word = title.split()[-1] if len(seen) > 1 else ""
        wait_for(lambda word=word: word in page.execute_script(NOW)[2])
        body.send_keys(" ")
        if len(seen) < count:
            wait_for(lambda: tuple(page.execute_script(NOW)[:2]) != seen[-1])
    assert len(titles) == len(set(seen)) == count and seen == sorted(seen)
    assert tuple(page.execute_script(NOW)[:2]) == seen[-1]


def test_the_speaker_has_notes(show):
    page = show()
    assert page.execute_script("return Reveal.hasPlugin('notes');")
    titles = page.execute_script(TITLES)
    place = [t.startswith("Stop and guess") for t in titles].index(True)
    notes = page.execute_script(
        "return Reveal.getSlideNotes(Reveal.getSlides()[arguments[0]]);", place
    )
    assert "A toy." in notes


def test_a_screen_reader_meets_one_slide_with_the_texts_of_its_figures(show):
    page = show()
    hidden = page.execute_script(
        """
        Reveal.slide(2, 2);
        const now = Reveal.getCurrentSlide();
        return [Reveal.getSlides().filter(s => s !== now && !s.closest("[hidden]")
          && s.checkVisibility({visibilityProperty: true})).length,
          [...now.querySelectorAll("img")].map(i => i.alt)];
        """
    )
    assert hidden[0] == 0 and len(hidden[1]) == 1 and len(hidden[1][0]) > 20


def test_axe_finds_nothing_serious(show, axe):  # noqa: F811
    """Look at one slide of each make: text, code, output, table, figure."""
    page = show()
    page.execute_script(axe)
    page.set_script_timeout(60)
    places = page.execute_script(KINDS)
    assert len(places) >= 6
    found = {}
    for place in places:
        page.execute_script("Reveal.slide(...arguments);", *place)
        found[tuple(place)] = page.execute_async_script(AXE)
    assert {place: serious for place, serious in found.items() if serious} == {}


def test_deck_scrolls_on_a_phone(show):
    page = show(width=360)
    wait_for(lambda: page.execute_script("return Reveal.isScrollView();"))
    assert page.execute_script(SIDEWAYS)["page"] <= 0


def test_deck_is_a_plain_page_without_scripts(show, browser, decks):  # noqa: F811
    page = show()
    titles = page.execute_script(TITLES)
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        headings = browser.find_elements("css selector", "section > h1, section > h2")
        assert [" ".join(h.text.split()) for h in headings] == titles
        tops = [h.location["y"] for h in headings]
        assert tops == sorted(set(tops)), "one below the other"
        notes = browser.find_elements("css selector", "aside.notes")
        assert notes and not [n for n in notes if n.is_displayed()]
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_nothing_is_asked_of_another_machine(show, browser):  # noqa: F811
    list(requested(browser))
    page = show(NOTEBOOKS[5].stem)
    page.execute_script(TOO_LARGE)
    asked = [a for a in requested(browser) if not a.startswith("chrome:")]  # its own
    assert [a for a in asked if a.startswith("file:")]
    assert not [a for a in asked if not a.startswith(("file:", "data:"))]
