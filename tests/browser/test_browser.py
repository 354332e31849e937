"""The page in a real browser: pictures, texts, bad input, no foreign request."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from page_tools import SECONDS, picture_project, started, text_project, wait_for
from pictures import draw
from PIL import Image

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
failures = pytest.importorskip("selenium.common.exceptions")
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


@contextmanager
def another_page_may_come():
    """Let pass what the driver says of an element whose page has just gone."""
    try:
        yield
    except failures.StaleElementReferenceException:
        pass
    except failures.WebDriverException as error:  # the same, between two pages
        if "does not belong to the document" not in str(error):
            raise


class Page:
    """What a visitor sees and does."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address
        browser.get(address)
        wait_for(lambda: self.all("form button"))

    def all(self, css):
        with another_page_may_come():
            found = self.browser.find_elements("css selector", css)
            return [element for element in found if element.is_displayed()]
        return []

    def one(self, css):
        return wait_for(lambda: self.all(css))[0]

    @property
    def said(self):
        with another_page_may_come(), suppress(IndexError):
            return self.all("#answer")[0].text
        return ""

    def wait_to_say(self, words):
        return wait_for(lambda: self.said, lambda said: words in said)

    def send(self):
        """Press the button, and wait for the page that comes."""
        old = self.one("main")
        self.one("form button").click()
        wait_for(lambda: old.id != self.one("main").id)

    def upload(self, path):
        self.one("input[type=file]").send_keys(str(path))
        self.send()

    def paste(self, text):
        self.browser.execute_script(
            "arguments[0].value = arguments[1];", self.one("textarea"), text
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


def test_chosen_picture_is_shown_and_predicted(picture_page, folders, tmp_path):
    picture = draw("disc", 1, 90)
    picture.save(tmp_path / "<disc>.png")
    picture_page.upload(tmp_path / "<disc>.png")
    said = picture_page.wait_to_say(expected(folders["pictures"], picture))
    assert "disc" in said and "square" in said, "both classes are listed"
    assert "<disc>.png" in said, "the answer bears the name of its picture"
    shown = picture_page.one("#answer img")
    assert shown.get_attribute("alt") == "Your picture"
    assert shown.get_property("naturalWidth") == 90


def test_picture_is_sent_with_the_keyboard(picture_page, folders, browser, tmp_path):
    picture = draw("square", 2, 120)
    picture.save(tmp_path / "square.png")
    browser.get(picture_page.address)
    choose = picture_page.one("input[type=file]")
    assert choose.accessible_name == "Choose a picture, or drop it here"
    tab, enter = "\ue004", "\ue007"
    webdriver.ActionChains(browser).send_keys(tab).perform()
    assert browser.switch_to.active_element == choose, "Tab reaches the input"
    choose.send_keys(str(tmp_path / "square.png"))
    webdriver.ActionChains(browser).send_keys(tab).perform()
    assert browser.switch_to.active_element.text == "What is it?"
    webdriver.ActionChains(browser).send_keys(enter).perform()
    picture_page.wait_to_say(expected(folders["pictures"], picture))
    assert picture_page.one("#answer img").get_property("naturalWidth") == 120
    assert picture_page.one("#answer").aria_role == "status"


def test_broken_file_gets_words_and_the_page_lives_on(picture_page, folders, tmp_path):
    (tmp_path / "letter.jpg").write_bytes(b"\xff\xd8\xff this is a letter")
    picture_page.upload(tmp_path / "letter.jpg")
    said = picture_page.wait_to_say("cannot be read as a picture")
    assert "letter.jpg" in said
    assert "→ Remove it, or save it again as JPEG or PNG." in said
    assert "Traceback" not in said and not picture_page.all("#answer img")
    assert picture_page.one("#answer").aria_role == "alert"
    picture = draw("disc", 3, 70)
    picture.save(tmp_path / "disc.png")
    picture_page.upload(tmp_path / "disc.png")
    picture_page.wait_to_say(expected(folders["pictures"], picture))


def test_picture_of_50_megapixels_is_predicted(picture_page, folders, tmp_path):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (1250, 1600, 3), dtype=np.uint8))
    coarse.resize((8000, 6250)).save(tmp_path / "huge.jpg", quality=92)
    assert (tmp_path / "huge.jpg").stat().st_size > 10 * 2**20
    picture_page.upload(tmp_path / "huge.jpg")
    read = Image.open(tmp_path / "huge.jpg").convert("RGB")
    picture_page.wait_to_say(expected(folders["pictures"], read))
    assert picture_page.one("#answer img").get_property("naturalWidth") == 480


def test_picture_beyond_the_limit_gets_words(picture_page, tmp_path):
    Image.new("L", (10_000, 6_001)).save(tmp_path / "huge.png")
    picture_page.upload(tmp_path / "huge.png")
    picture_page.wait_to_say("60 million pixels are the limit")


def test_upload_beyond_the_limit_gets_words_and_no_old_answer(picture_page, tmp_path):
    with open(tmp_path / "huge.bmp", "wb") as file:
        file.truncate(101 * 2**20)
    picture_page.one("input[type=file]").send_keys(str(tmp_path / "huge.bmp"))
    picture_page.one("form button").click()
    said = picture_page.wait_to_say("more than 100 megabytes")
    assert "huge.bmp" in said and "nothing was sent" in said
    assert "%" not in said and not picture_page.all("#answer img")


def test_nothing_gets_words(picture_page, browser):
    browser.get(picture_page.address)
    picture_page.send()
    picture_page.wait_to_say("There is no image yet.")


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_a_screen_and_a_phone(picture_page, browser, width, tmp_path):
    draw("disc", 4, 700).save(tmp_path / ("d" * 100 + ".png"))
    picture_page.upload(tmp_path / ("d" * 100 + ".png"))
    picture_page.wait_to_say("disc")
    colours = []
    for scheme in ("light", "dark"):
        resize(browser, width, scheme)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, "nothing is cut off at the right"
        heading = browser.find_element("tag name", "h1")
        colours.append(heading.value_of_css_property("color"))
        assert browser.find_element("css selector", "rect").size["width"] > 10
        browser.save_screenshot(str(tmp_path / f"{width}_{scheme}.png"))
    assert colours[0] != colours[1], "light letters on dark, dark ones on light"


def test_page_asks_no_other_server(picture_page, browser):
    """Of all that was asked for since the browser started."""
    asked = [u for u in requested(browser) if u.startswith(("http", "ws"))]
    assert len(asked) > 5
    assert [u for u in asked if not u.startswith(picture_page.address)] == []
    named = browser.execute_script(NAMED)
    foreign = [u for u in named if not u.startswith((picture_page.address, "data:"))]
    assert foreign == [], "not even where a policy would stop it"
    assert browser.title == picture_page.one("h1").text == "Discs & squares"


def test_page_of_another_site_can_neither_frame_it_nor_send_to_it(
    picture_page, browser, tmp_path
):
    foreign = tmp_path / "foreign.html"
    foreign.write_text(
        f'<iframe src="{picture_page.address}"></iframe>'
        f'<form method="post" action="{picture_page.address}">'
        '<input name="given" value="x"><button>Win!</button></form>'
    )
    browser.get(foreign.as_uri())
    browser.switch_to.frame(0)
    assert not browser.find_elements("css selector", "form")
    browser.switch_to.default_content()
    browser.find_element("css selector", "button").click()
    picture_page.wait_to_say("Another page sent this form.")
    browser.get(picture_page.address)


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
    text_page.wait_to_say(expected(folders["texts"], "You have won a prize"))
    assert "“You have won a prize”" in text_page.said
    assert text_page.one("textarea").get_property("value") == "You have won a prize"


def test_text_of_a_megabyte_is_classified_and_the_page_lives_on(text_page, folders):
    text = "The meeting of the board was moved to Tuesday at noon. " * 20_000
    assert len(text) > 10**6
    text_page.paste(text)
    text_page.send()
    text_page.wait_to_say("Of 1,100,000 characters the first 100,000 were read.")
    assert expected(folders["texts"], text) in text_page.said
    text_page.paste("Lunch?")
    text_page.send()
    text_page.wait_to_say(expected(folders["texts"], "Lunch?"))


def test_no_text_gets_words(text_page):
    text_page.paste("  ")
    text_page.send()
    text_page.wait_to_say("There is no text yet.")
