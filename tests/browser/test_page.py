"""The page in a real browser: pictures, texts, bad input, no foreign request."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import draw
from page_tools import SECONDS, picture_project, started, text_project, wait_for
from PIL import Image

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER),
        reason="chromium or chromedriver is missing (Debian: chromium-driver)",
    ),
]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage"
).split()
#: Puts a file that the driver chose into the page, as a hand with a mouse would.
DROP = """
const given = new DataTransfer();
given.items.add(arguments[0].files[0]);
const drop = new Event("drop", { bubbles: true, cancelable: true });
drop.dataTransfer = given;
document.querySelector("button").dispatchEvent(drop);
"""
#: Keeps the file chooser of the system shut, and its input where the driver finds it.
CATCH_CHOOSER = """
HTMLInputElement.prototype.click = function () {
  this.id = "caught";
  document.body.append(this);
};
"""
#: Every address that stands in the page, asked for or not.
NAMED = """
return [...document.querySelectorAll("[src], [href]")].map(e => e.src || e.href);
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("projects")
    return {
        "pictures": picture_project().save(root / "pictures"),
        "texts": text_project().save(root / "texts"),
    }


@pytest.fixture(scope="module")
def addresses(folders):
    """Both pages, served by the command that a learner types."""
    serve = ["-m", "tlhelpers", "serve", "--no-browser"]
    with (
        started([*serve, str(folders["pictures"])]) as pictures,
        started([*serve, str(folders["texts"])]) as texts,
    ):
        yield {"pictures": pictures.address, "texts": texts.address}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    driver.set_page_load_timeout(SECONDS)
    yield driver
    driver.quit()


class Page:
    """What a visitor sees and does."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address
        browser.get(address)
        wait_for(lambda: self.all(".tl-project button"))

    def all(self, css):
        found = self.browser.find_elements("css selector", css)
        return [element for element in found if element.is_displayed()]

    def one(self, css):
        return wait_for(lambda: self.all(css))[0]

    @property
    def said(self):
        return self.one(".tl-answer").text

    def wait_to_say(self, words):
        return wait_for(lambda: self.said, lambda said: words in said)

    def drop(self, path):
        self.browser.execute_script(
            "document.body.insertAdjacentHTML('beforeend', '<input type=file id=hand>')"
        )
        hand = self.one("#hand")
        hand.send_keys(str(path))
        self.browser.execute_script(DROP + "arguments[0].remove()", hand)

    def paste(self, text):
        self.browser.execute_script(
            "arguments[0].value = arguments[1];"
            "arguments[0].dispatchEvent(new Event('input', { bubbles: true }));",
            self.one("textarea"),
            text,
        )


@pytest.fixture(scope="module")
def picture_page(browser, addresses):
    return Page(browser, addresses["pictures"])


def expected(folder, example):
    """The most likely class and its probability, as the project itself says."""
    from tlhelpers.project.keep import load_project

    project = load_project(folder)
    p = project.predict_proba([example])[0]
    return f"{project.class_names[int(p.argmax())]}, {100 * p.max():.0f} %"


def requested(browser):
    """List every address that the browser asked for since the last call."""
    log = (json.loads(e["message"])["message"] for e in browser.get_log("performance"))
    for entry in log:
        if entry["method"] == "Network.requestWillBeSent":
            yield entry["params"]["request"]["url"]
        elif entry["method"] == "Network.webSocketCreated":
            yield entry["params"]["url"]


def resize(browser, width, scheme="light"):
    size = {
        "width": width,
        "height": 900,
        "deviceScaleFactor": 1,
        "mobile": width < 600,
    }
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


# --- pictures ----------------------------------------------------------------------


def test_dropped_picture_is_shown_and_predicted(picture_page, folders, tmp_path):
    picture = draw("disc", 1, 90)
    picture.save(tmp_path / "disc.png")
    picture_page.drop(tmp_path / "disc.png")
    said = picture_page.wait_to_say(expected(folders["pictures"], picture))
    assert "disc" in said and "square" in said, "both classes are listed"
    shown = picture_page.one(".tl-answer img")
    assert shown.get_attribute("alt") == "Your picture"
    assert shown.get_property("naturalWidth") == 90
    assert not picture_page.all(".tl-note p"), "the note of progress is gone"


def test_picture_chosen_with_the_keyboard_is_predicted(
    picture_page, folders, browser, tmp_path
):
    browser.execute_script(CATCH_CHOOSER)
    picture = draw("square", 2, 120)
    picture.save(tmp_path / "square.png")
    button = picture_page.one(".widget-upload")
    assert "Choose a picture" in button.accessible_name
    browser.execute_script("document.activeElement.blur()")
    webdriver.ActionChains(browser).send_keys("\ue004").perform()
    assert browser.switch_to.active_element == button, "Tab reaches the button"
    webdriver.ActionChains(browser).send_keys(" ").perform()
    hidden = browser.find_element("id", "caught")
    hidden.send_keys(str(tmp_path / "square.png"))
    picture_page.wait_to_say(expected(folders["pictures"], picture))
    assert picture_page.one(".tl-answer img").get_property("naturalWidth") == 120


def test_broken_file_gets_words_and_the_page_lives_on(picture_page, folders, tmp_path):
    (tmp_path / "letter.jpg").write_bytes(b"\xff\xd8\xff this is a letter")
    picture_page.drop(tmp_path / "letter.jpg")
    said = picture_page.wait_to_say("cannot be read as a picture")
    assert "→ Remove it, or save it again as JPEG or PNG." in said
    assert "Traceback" not in said and not picture_page.all(".tl-answer img")
    picture = draw("disc", 3, 70)
    picture.save(tmp_path / "disc.png")
    picture_page.drop(tmp_path / "disc.png")
    picture_page.wait_to_say(expected(folders["pictures"], picture))


def test_picture_of_50_megapixels_is_predicted(picture_page, folders, tmp_path):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (1250, 1600, 3), dtype=np.uint8))
    coarse.resize((8000, 6250)).save(tmp_path / "huge.jpg", quality=92)
    assert (tmp_path / "huge.jpg").stat().st_size > 10 * 2**20, "beyond the old limit"
    picture_page.drop(tmp_path / "huge.jpg")
    read = Image.open(tmp_path / "huge.jpg").convert("RGB")
    picture_page.wait_to_say(expected(folders["pictures"], read))
    assert picture_page.one(".tl-answer img").get_property("naturalWidth") == 480


def test_picture_beyond_the_limit_gets_words(picture_page, tmp_path):
    Image.new("L", (10_000, 6_001)).save(tmp_path / "huge.png")
    picture_page.drop(tmp_path / "huge.png")
    picture_page.wait_to_say("60 million pixels are the limit")


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_a_screen_and_a_phone(picture_page, browser, width, tmp_path):
    draw("disc", 4, 700).save(tmp_path / "disc.png")
    picture_page.drop(tmp_path / "disc.png")
    picture_page.wait_to_say("disc")
    colours = []
    for scheme in ("light", "dark"):
        resize(browser, width, scheme)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, "nothing is cut off at the right"
        colours.append(
            browser.find_element("tag name", "h1").value_of_css_property("color")
        )
        browser.save_screenshot(str(tmp_path / f"{width}_{scheme}.png"))
    assert colours[0] != colours[1], "light letters on dark, dark ones on light"


def test_page_asks_no_other_server(picture_page, browser):
    """Of all that was asked for since the browser started."""
    asked = [u for u in requested(browser) if u.startswith(("http", "ws"))]
    assert len(asked) > 20
    own = picture_page.address, picture_page.address.replace("http", "ws")
    assert [u for u in asked if not u.startswith(own)] == []
    named = browser.execute_script(NAMED)
    foreign = [u for u in named if not u.startswith((own[0], "data:"))]
    assert foreign == [], "not even where a policy would stop it"
    assert browser.title == picture_page.one("h1").text == "Discs & squares"


# --- texts -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text_page(browser, addresses, folders):
    resize(browser, 1280)
    return Page(browser, addresses["texts"])


def test_text_sent_with_the_keyboard_is_classified(text_page, folders, browser):
    box = text_page.one("textarea")
    assert box.accessible_name == "Your text"
    box.send_keys("You have won a prize")
    webdriver.ActionChains(browser).send_keys("\ue004").send_keys("\ue007").perform()
    assert browser.switch_to.active_element.text == "What is it?"
    text_page.wait_to_say(expected(folders["texts"], "You have won a prize"))


def test_text_of_a_megabyte_is_classified_and_the_page_lives_on(text_page, folders):
    text = "The meeting of the board was moved to Tuesday at noon. " * 20_000
    assert len(text) > 10**6
    text_page.paste(text)
    text_page.one(".mod-primary").click()
    text_page.wait_to_say("Of 1,100,000 characters the first 100,000 were read.")
    assert expected(folders["texts"], text) in text_page.said
    text_page.paste("Lunch?")
    text_page.one(".mod-primary").click()
    text_page.wait_to_say(expected(folders["texts"], "Lunch?"))


def test_no_text_gets_words(text_page):
    text_page.paste("  ")
    text_page.one(".mod-primary").click()
    text_page.wait_to_say("There is no text yet.")
