"""The slider asks about the right picture; a bad upload gets words, not a crash."""

from __future__ import annotations

import io
from datetime import datetime, timezone

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import draw

import tlhelpers as tl
from tlhelpers import plots as widgets


@pytest.fixture(autouse=True)
def displayed(monkeypatch):
    """Collect what the explorer displays."""
    matplotlib.use("Agg")
    figures = []
    monkeypatch.setattr("IPython.display.display", figures.append)
    yield figures
    plt.close("all")


@pytest.fixture
def explorer():
    """Slider, upload button, the pictures, and what the network was asked."""
    images, asked = [draw("disc", i, 24) for i in range(4)], []

    def predict(batch):
        asked.extend(batch)
        return np.array([[0.25, 0.75]] * len(batch))

    box = tl.explore_predictions(predict, images, ["cat", "dog"])
    slider, upload = box.children[0].children
    return slider, upload, images, asked


def uploaded(content: bytes):
    entry = {
        "name": "mine.jpg",
        "type": "image/jpeg",
        "size": len(content),
        "content": memoryview(content),
        "last_modified": datetime.now(timezone.utc),
    }
    return (entry,)


def as_bytes(image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_explorer_is_a_slider_an_upload_button_and_a_screen(explorer):
    slider, upload, images, asked = explorer
    assert isinstance(slider, ipywidgets.IntSlider)
    assert (slider.min, slider.max) == (0, 3)
    assert isinstance(upload, ipywidgets.FileUpload) and not upload.multiple
    assert asked == [images[0]]


def test_explorer_leaves_the_figures_of_its_cell_alone(displayed):
    twin = tl.plot_images([draw("disc", 0, 24)]).figure
    tl.explore_predictions(lambda b: [[0.5, 0.5]] * len(b), [draw("disc", 1, 24)], "ab")
    assert plt.get_fignums() == [twin.number], "the static twin is still to be drawn"
    assert twin not in displayed and len(displayed) == 1


def test_slider_asks_about_the_picture_it_stands_on(explorer, displayed):
    slider, _, images, asked = explorer
    for i in (2, 3, 1):
        slider.value = i
        assert asked[-1] is images[i]
        ax = displayed[-1].axes[0]
        shown = ax.child_axes[0].images[0].get_array()
        assert np.array_equal(shown, np.asarray(images[i]))


def test_uploaded_picture_is_predicted(explorer):
    _, upload, _, asked = explorer
    mine = draw("square", 9, 24)
    upload.value = uploaded(as_bytes(mine))
    assert len(asked) == 2
    assert np.array_equal(np.asarray(asked[-1]), np.asarray(mine))


def test_broken_upload_gets_words_and_the_explorer_lives_on(explorer, capsys):
    slider, upload, images, asked = explorer
    upload.value = uploaded(b"this is a letter")
    said = capsys.readouterr().out
    assert "✘ The picture cannot be read as a picture" in said
    assert "save it again as JPEG or PNG" in said
    assert len(asked) == 1
    slider.value = 2
    assert asked[-1] is images[2]


def test_cleared_upload_is_no_error(explorer):
    _, upload, _, asked = explorer
    upload.value = uploaded(as_bytes(draw("square", 9, 24)))
    upload.value = ()
    assert len(asked) == 2


def test_upload_of_ipywidgets_7_is_understood():
    mine = draw("square", 9, 24)
    for value in ({"mine.png": {"content": as_bytes(mine)}}, uploaded(as_bytes(mine))):
        assert np.array_equal(np.asarray(widgets.read_upload(value)), np.asarray(mine))


def test_static_twin_names_class_and_probability():
    image = draw("disc", 0, 24)
    ax = widgets.plot_prediction(image, np.array([0.125, 0.875]), ["cat", "dog"])
    assert ax.child_axes[0].get_title() == "dog\n0.88"
    assert ax.figure.alt_text == "A picture predicted as dog with 0.88."
    _, given = plt.subplots()
    assert widgets.plot_prediction(image, np.array([1, 0]), "ab", ax=given) is given


# --- words and texts ---------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """Collect what is printed while an output widget is open."""
    said = []

    def keep(*texts, **_):
        said.extend(t for t in texts if not t.startswith("\x1b"))  # clear_output's

    monkeypatch.setattr("builtins.print", keep)
    return said


def test_words_typed_are_looked_up_in_small_letters(shown):
    vectors = tl.random_vectors(tl.load_vectors("wikipedia_small"))
    box = tl.explore_words({"here": vectors}, "river")
    field, _ = box.children
    field.value = "  Winter "
    field.value = "qqqq"
    assert shown[0].startswith("river · here: ")
    assert shown[1].startswith("winter · here: ") and "no vector" not in shown[1]
    assert shown[2] == "qqqq · here: no vector"


def test_text_typed_is_classified_on_the_button_and_none_is_said(shown):
    asked = []

    def predict(texts):
        asked.extend(texts)
        return np.array([[0.25, 0.75]] * len(texts))

    box = tl.explore_texts(predict, "first", ["ham", "spam"])
    area, button, _ = box.children
    area.value = "second \n one"
    assert asked == ["first"]
    button.click()
    assert asked == ["first", "second \n one"]
    assert shown[-1] == "spam 0.75 · second one"
    area.value = "  "
    button.click()
    assert "no text yet" in shown[-1] and len(asked) == 2


def test_predictions_are_described_one_line_each():
    p = np.array([[0.9, 0.1], [0.4, 0.6]])
    said = tl.describe_predictions(lambda texts: p, ["a" * 90, "b\n\nc"], ["x", "y"])
    assert said == f"x 0.90 · {'a' * 60}\ny 0.60 · b c"


def test_temperature_slider_shows_the_softened_distribution(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    box = tl.explore_temperature([2.0, 0.0], ["cat", "dog"])
    slider, _ = box.children
    slider.value = 2.0
    assert "at T = 1 cat 0.88" in shown[0].alt_text
    assert "at T = 2 cat 0.73" in shown[1].alt_text


def test_scores_are_shown_for_the_chosen_target(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    scores = {"LogME": np.array([[0.5, 0.25]] * 2), "k-NN": np.array([[1, 2], [3, 4]])}
    truth = np.array([[0.125, -0.5], [0.0, 0.25]])
    box = tl.explore_scores(scores, truth, ["pets", "cells"], ["photos", "shapes"])
    score, target = box.children[0].children
    score.value, target.value = "k-NN", "cells"
    assert "photos 0.5, 0.125; shapes 0.25, -0.500" in shown[0].alt_text
    assert "photos 3, 0.000; shapes 4, 0.250" in shown[-1].alt_text
    assert "k-NN, cells" in shown[-1].alt_text
