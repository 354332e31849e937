"""Every plot returns its Axes, shows nothing by itself, and says itself in words."""

from __future__ import annotations

import base64
import inspect
import io
import warnings
from datetime import datetime, timezone

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import font_manager, ft2font
from matplotlib.colors import to_hex, to_rgb
from pictures import draw
from PIL import Image
from sklearn.metrics import confusion_matrix

import tlhelpers as tl
from tlhelpers import plots

#: Okabe and Ito 2008, "Color Universal Design": seven of their eight colours, and a
#: grey in place of the yellow, which can hardly be seen on white.
OKABE_ITO = {
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#555555",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
}


@pytest.fixture(autouse=True)
def closed_figures(monkeypatch):
    matplotlib.use("Agg")
    plt.close("all")
    monkeypatch.setattr(plots, "_style_of", {})
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("a plot called show"))
    yield
    plt.close("all")


def discs(n=2):
    return [draw("disc", i, 24) for i in range(n)]


ANSWERS = pd.DataFrame({"class": ["tabby", "lynx"], "probability": [0.75, 0.125]})
HEAT = np.zeros((2, 6, 6))
HEAT[0, 0, 0] = HEAT[1, 5, 2] = 1
WORDS = {"wide": {"a": (2, 0), "b": (-2, 0)}, "high": {"c": (0, 1), "d": (0, -1.0)}}
JUDGED = {"accuracy": 0.8, "low": 0.7, "high": 0.875}
CALLS = {
    "plot_images": (
        lambda ax: tl.plot_images(discs(), ["cat\n0.91", "dog\n0.62"], ax=ax),
        ["2 pictures", "cat 0.91", "dog 0.62"],
    ),
    "plot_answers": (
        lambda ax: tl.plot_answers(discs()[0], ANSWERS, ax=ax),
        ["tabby 0.75, lynx 0.12"],
    ),
    "plot_scores": (
        lambda ax: tl.plot_scores({"a": [0.7, 0.9], "b": [0.5]}, chance=0.5, ax=ax),
        ["a 0.800 ± 0.141", "b 0.500", "test accuracy"],
    ),
    "plot_scores of intervals": (
        lambda ax: tl.plot_scores({"a": JUDGED}, chance=0.5, ax=ax),
        ["a 0.800 (0.700 to 0.875)", "test accuracy: "],
    ),
    "plot_curves of label efficiency": (
        lambda ax: tl.plot_curves(
            {"tuned": {20: [0.9, 0.8], 5: [0.6, 0.6]}, "scratch": {5: [0.5]}},
            xlabel="labels per class",
            chance=0.5,
            log=True,
            ax=ax,
        ),
        ["by labels per class", "tuned 5: 0.60, 20: 0.85", "scratch 5: 0.50"],
    ),
    "plot_curves": (
        lambda ax: tl.plot_curves({"a": {0.5: [1, 0.8], 1: [0.7]}}, xlabel="x", ax=ax),
        ["test accuracy by x", "a 0.5: 0.90, 1: 0.70"],
    ),
    "plot_matrix": (
        lambda ax: tl.plot_matrix([[0.25, 1.0]], ["tuned"], ["early", "late"], ax=ax),
        ["tuned: early 0.25, late 1.00"],
    ),
    "plot_matrix of counts": (
        lambda ax: tl.plot_matrix(
            confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1]),
            ["cat", "dog"],
            ["cat", "dog"],
            digits=0,
            ax=ax,
        ),
        ["cat: cat 1, dog 1; dog: cat 0, dog 2"],
    ),
    "plot_points": (
        lambda ax: tl.plot_points(
            {"large": (120, 0.9), "small": (0.5, 0.8)},
            xlabel="milliseconds",
            ylabel="accuracy",
            log=True,
            ax=ax,
        ),
        ["large 120, 0.900", "small 0.5, 0.800", "accuracy by milliseconds: large"],
    ),
    "plot_points in groups": (
        lambda ax: tl.plot_points(WORDS, xlabel="first", ylabel="second", ax=ax),
        ["wide a 2, 0.000; wide b -2, 0.000", "high d 0, -1.000"],
    ),
    "plot_heat": (
        lambda ax: tl.plot_heat(discs(), HEAT, ["cat", "dog"], ax=ax),
        ["cat strongest at the top left", "dog strongest at the bottom middle"],
    ),
}


def test_every_plot_is_tried_here():
    tried = {name.split()[0] for name in CALLS}
    assert tried == {n for n in tl.__all__ if n.startswith("plot_")}


@pytest.mark.parametrize("name", CALLS)
def test_plot_takes_ax_by_keyword_and_makes_one_where_none_is_given(name):
    ax = inspect.signature(getattr(tl, name.split()[0])).parameters["ax"]
    assert ax.default is None and ax.kind is ax.KEYWORD_ONLY
    assert isinstance(CALLS[name][0](None), matplotlib.axes.Axes)
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("name", CALLS)
def test_plot_draws_into_the_axes_it_is_given(name):
    figure, (left, right) = plt.subplots(1, 2)
    assert CALLS[name][0](right) is right
    assert plt.get_fignums() == [figure.number]
    assert not left.has_data() and not left.child_axes and not left.texts
    assert right.has_data() or right.child_axes or right.texts


@pytest.mark.parametrize("name", CALLS)
def test_alternative_text_says_the_figures(name):
    make, said = CALLS[name]
    text = make(None).figure.alt_text
    assert "\n" not in text and text.endswith(".")
    for words in said:
        assert words in text


@pytest.mark.parametrize("name", CALLS)
def test_plot_can_be_drawn(name):
    make, _ = CALLS[name]
    figure = make(None).figure
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba())[..., :3].std() > 1


def test_colours_are_the_ones_colour_blind_readers_can_tell_apart():
    assert {c.lower() for c in plots.COLOURS} <= OKABE_ITO
    assert len(set(plots.COLOURS)) == len(plots.COLOURS)
    scores = {str(k): [0.5, 0.6] for k in range(8)}
    bars = tl.plot_scores(scores).patches
    assert {to_hex(b.get_facecolor()) for b in bars} <= OKABE_ITO
    curves = {str(k): {5: [0.5], 20: [0.6]} for k in range(8)}
    lines = tl.plot_curves(curves, xlabel="labels", log=True).get_lines()
    assert {to_hex(line.get_color()) for line in lines} <= OKABE_ITO
    assert len({line.get_marker() for line in lines} - {"_"}) == 8


#: What an eye without cones for green, or red, sees: Machado et al. 2009, linear RGB.
SEEN = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)


def seen_as(colour, eye):
    """Return the CIELAB coordinates of a colour as such an eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(SEEN[eye]) @ linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", SEEN)
def test_the_grey_is_as_far_from_the_others_as_these_from_each_other(eye):
    *seven, grey = [seen_as(c, eye) for c in plots.COLOURS]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(seven) for b in seven[:i]]
    assert len(apart) == 21
    assert min(np.linalg.norm(grey - c) for c in seven) > min(apart)


def test_a_method_keeps_its_colour_from_figure_to_figure():
    def colour(ax):
        plt.close(ax.figure)
        return [to_hex(b.get_facecolor()) for b in ax.patches]

    one, two, three = colour(tl.plot_scores({k: [0.5, 0.6] for k in "abc"}))
    assert colour(tl.plot_scores({k: [0.5, 0.6] for k in "cxa"}))[::2] == [three, one]
    (line,) = tl.plot_curves({"b": {1: [0.5], 2: [0.6]}}, xlabel="n").get_lines()[:1]
    assert to_hex(line.get_color()) == two
    for k in range(50):  # what has been drawn meanwhile takes no colour away
        colour(tl.plot_scores({str(k): [0.5]}))
    many = colour(tl.plot_scores({k: [0.5, 0.6] for k in "0a7b1c8d"}))
    assert len({*many}) == 8  # and in one figure none is taken twice


def test_two_plots_in_one_figure_both_keep_their_words():
    _, (left, right) = plt.subplots(1, 2)
    CALLS["plot_scores"][0](left)
    CALLS["plot_matrix of counts"][0](right)
    text = left.figure.alt_text
    assert "a 0.800" in text and "cat 1, dog 1" in text


def test_describing_again_replaces_the_words():
    ax = tl.describe(plt.subplots()[1], "old")
    assert tl.describe(ax, "new  \n words") is ax
    assert ax.figure.alt_text == "new words"


# --- each plot -------------------------------------------------------------------


def test_images_appear_as_they_are_from_pil_and_from_tensors():
    image = discs(1)[0]
    tensor = tl.to_tensor(image, 24)
    cells = tl.plot_images([image, tensor], ["a", "b"], columns=2).child_axes
    assert [c.get_title() for c in cells] == ["a", "b"]
    for cell in cells:
        assert np.array_equal(cell.images[0].get_array(), np.asarray(image))


@pytest.mark.parametrize("n", [1, 8, 9, 16])
def test_image_grid_has_a_cell_for_each_picture_without_overlap(n):
    ax = tl.plot_images(discs(n), columns=8)
    ax.figure.canvas.draw()
    boxes = [c.get_window_extent() for c in ax.child_axes]
    assert len(boxes) == n
    assert len({(round(b.x0), round(b.y0)) for b in boxes}) == n
    outer = ax.get_window_extent()
    assert all(b.y0 >= outer.y0 - 1 and b.x1 <= outer.x1 + 1 for b in boxes)


def test_answers_put_the_likeliest_on_top():
    ax = CALLS["plot_answers"][0](None)
    widths = {
        t.get_text(): p.get_width() for t, p in zip(ax.get_yticklabels(), ax.patches)
    }
    assert widths == {"lynx": 0.125, "tabby": 0.75}
    assert ax.patches[-1].get_y() > ax.patches[0].get_y()


def test_scores_show_a_bar_at_the_mean_and_a_dot_per_seed():
    ax = CALLS["plot_scores"][0](None)
    assert [b.get_width() for b in ax.patches] == pytest.approx([0.8, 0.5])
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [list(d.get_xdata()) for d in dots] == [[0.7, 0.9], [0.5]]
    dashed = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [0.5]


def test_mean_sd_is_the_sample_standard_deviation():
    assert tl.mean_sd([0.7, 0.8, 0.9]) == "0.800 ± 0.100"
    assert tl.mean_sd([0.5]) == "0.500"


def test_curves_order_the_budgets_and_mark_chance():
    ax = CALLS["plot_curves of label efficiency"][0](None)
    tuned = ax.get_lines()[0]
    assert tuned.get_xdata().tolist() == [5, 20]
    np.testing.assert_allclose(tuned.get_ydata(), [0.6, 0.85])
    assert ax.get_xscale() == "log"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["5", "20"]
    assert not ax.get_xticks(minor=True).size and ax.get_ylim()[1] == 1.01
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["chance", "tuned", "scratch"]
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert legend.y0 >= ax.get_window_extent().y1, "the legend hides no line"


def test_bars_are_one_standard_deviation_and_one_run_has_none():
    curves = {"a": {5: [0.5], 20: [0.9, 0.8]}}
    ax = tl.plot_curves(curves, xlabel="labels")
    alone, bar = ax.collections[0].get_segments()
    sd = np.std([0.9, 0.8], ddof=1)
    assert alone.size == 0
    assert bar[:, 1] == pytest.approx([0.85 - sd, 0.85 + sd])
    # Nor has one run the two strokes at the ends of an empty bar.
    assert all(np.isnan(line.get_ydata()[0]) for line in ax.get_lines()[1:3])


def test_counts_have_the_truth_in_rows():
    ax = CALLS["plot_matrix of counts"][0](None)
    assert ax.images[0].get_array().tolist() == [[1, 1], [0, 2]]
    assert [t.get_text() for t in ax.texts] == ["1", "1", "0", "2"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cat", "dog"]


def test_heat_covers_the_whole_picture():
    ax = tl.plot_heat([Image.new("RGB", (30, 20))], torch.tensor(HEAT[:1]))
    picture, heat = ax.child_axes[0].images
    assert heat.get_extent() == [-0.5, 29.5, 19.5, -0.5]
    # Black lies over what is cold, and nothing over what is hottest: the first corner.
    dark = np.asarray(heat.get_alpha())
    assert dark.shape == picture.get_array().shape[:2] == (20, 30)
    assert dark[0, 0] == 0 and dark[-1, -1] == pytest.approx(0.8)
    assert not heat.to_rgba(heat.get_array())[..., :3].any()


def test_heat_maps_may_differ_in_size():
    """Each is stretched as Pillow does it, so a cell has the same place in all."""
    small, large = np.eye(2), np.kron(np.eye(2), np.ones((40, 40)))
    ax = tl.plot_heat(discs()[:2], [small, large], ["small", "large"])
    first, second = (1 - cell.images[1].get_alpha() / 0.8 for cell in ax.child_axes)
    assert first.shape == second.shape
    corners = np.ix_([0, -1], [0, -1])
    assert np.allclose(first[corners], small) and np.allclose(second[corners], small)


def test_a_line_encloses_the_hotter_half():
    warm = np.zeros((4, 4))
    warm[1:3, 1:3] = 0.8
    ax = tl.plot_heat([Image.new("RGB", (40, 40))] * 2, [warm, np.full((3, 3), 0.5)])
    drawn, even = ax.child_axes
    (line,) = drawn.collections[0].get_paths()
    assert line.contains_point((19.5, 19.5)) and not line.contains_point((5, 5))
    # The halfway points lie on the border between warm and cold cells.
    left, top, right, bottom = *line.vertices.min(0), *line.vertices.max(0)
    assert (left, top, right, bottom) == pytest.approx((9.5, 9.5, 29.5, 29.5), abs=0.6)
    assert not even.collections  # a map without differences has no hotter half
    assert drawn.get_xlim() == even.get_xlim() and drawn.get_ylim() == even.get_ylim()


def test_scores_of_one_run_are_not_called_means():
    one, two = tl.plot_scores({"a": [0.5]}), tl.plot_scores({"a": [0.5, 0.7]})
    assert one.figure.alt_text.startswith("test accuracy: a 0.500")
    assert two.figure.alt_text.startswith("test accuracy, mean ± sd over seeds: a")


def test_interval_is_a_bar_from_its_low_to_its_high_end():
    ax = tl.plot_scores({"a": JUDGED, "b": [0.5, 0.7]})
    bar = ax.patches[0]
    ends = bar.get_x(), bar.get_x() + bar.get_width()
    assert ends == pytest.approx((0.7, 0.875))
    assert [list(line.get_xdata()) for line in ax.get_lines()] == [[0.8], [0.5, 0.7]]
    assert [t.get_text() for t in ax.texts] == ["0.800", "0.600 ± 0.141"]


def test_costs_stand_on_a_logarithmic_axis():
    ax = CALLS["plot_points"][0](None)
    assert ax.get_xscale() == "log"
    assert [c.get_offsets().tolist()[0] for c in ax.collections] == [
        [120, 0.9],
        [0.5, 0.8],
    ]
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["large", "small"]


def test_a_promise_has_a_linear_axis():
    points = {"a": (-0.5, 0.1), "b": (0.0, -0.2)}
    ax = tl.plot_points(points, xlabel="LogME", ylabel="transfer gain")
    assert ax.get_xscale() == "linear" and ax.get_xlim()[0] < -0.5
    assert "a -0.5, 0.100" in ax.figure.alt_text


def test_groups_share_a_colour_and_a_marker_and_name_their_points():
    ax = CALLS["plot_points in groups"][0](None)
    wide, high = ax.collections
    assert wide.get_offsets().tolist() == [[2, 0], [-2, 0]]
    colours = [to_hex(c.get_facecolor()[0]) for c in (wide, high)]
    assert colours == [c.lower() for c in plots.COLOURS[:2]]
    shapes = [c.get_paths()[0].vertices for c in (wide, high)]
    assert shapes[0].shape != shapes[1].shape
    beside = {t.get_text().strip(): t.xy for t in ax.texts}
    assert beside == {"a": (2, 0), "b": (-2, 0), "c": (0, 1), "d": (0, -1)}
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["wide", "high"]


def test_group_without_a_point_is_no_error():
    ax = tl.plot_points({"known": {"a": (0, 1)}, "unknown": {}})
    assert len(ax.texts) == 1
    assert ax.figure.alt_text == "Points: known a 0, 1.000."
    ax.figure.canvas.draw()


def test_losses_and_gains_have_opposite_colours():
    ax = tl.plot_matrix([[-0.2, 0.1]], ["shapes"], ["pets", "cells"], signed=True)
    (image,) = ax.images
    assert image.get_clim() == (-0.2, 0.2)
    red, blue = (image.cmap(image.norm(v)) for v in (-0.2, 0.2))
    assert red[0] > red[2] and blue[2] > blue[0]
    assert [t.get_text() for t in ax.texts] == ["-0.20", "+0.10"]
    assert "pets -0.20, cells 0.10" in ax.figure.alt_text


@pytest.mark.parametrize("n", [17, 102, 300])
def test_of_many_classes_the_most_confused_are_shown(n):
    names = [f"kind {i}" for i in range(n)]
    counts = np.eye(n, dtype=int) * 9
    for k in range(8):
        counts[2 * k % n, (2 * k + 5) % n] = 3 + k
    ax = tl.plot_matrix(counts, [f"true {name}" for name in names], names, digits=0)
    width, height = ax.figure.get_size_inches()
    assert width < 16 and height < 10
    shown = [t.get_text() for t in ax.get_xticklabels()]
    assert {"kind 14", "kind 2"} < set(shown) and len(shown) <= 16
    assert f"The most confused of {n} classes." == ax.get_title()
    assert "true kind 0: " in ax.figure.alt_text
    rows = [t.get_text().removeprefix("true ") for t in ax.get_yticklabels()]
    assert rows == shown


def test_of_sixteen_classes_all_are_shown():
    names = [f"kind {i}" for i in range(16)]
    ax = tl.plot_matrix(np.eye(16), names, names)
    assert len(ax.get_xticklabels()) == 16 and not ax.get_title()


# --- names that look like formulas -------------------------------------------------

ODD = ["$$", r"$\frac$", "a_b^c"]
NAMED = {
    "images": lambda: tl.plot_images(discs(3), ODD),
    "heat": lambda: tl.plot_heat(discs(3), [HEAT[0]] * 3, ODD),
    "answers": lambda: tl.plot_answers(
        discs()[0], pd.DataFrame({"class": ODD, "probability": [0.5, 0.3, 0.2]})
    ),
    "scores": lambda: tl.plot_scores({n: [0.5, 0.6] for n in ODD}, label=ODD[0]),
    "intervals": lambda: tl.plot_scores(dict.fromkeys(ODD, JUDGED), chance=0.5),
    "curves": lambda: tl.plot_curves(
        {n: {5: [0.5], 20: [0.6]} for n in ODD}, xlabel=ODD[0], log=True
    ),
    "matrix": lambda: tl.plot_matrix(np.eye(3), ODD, ODD),
    "points": lambda: tl.plot_points(
        {n: (i + 1, i) for i, n in enumerate(ODD)}, xlabel=ODD[0], log=True
    ),
    "groups": lambda: tl.plot_points({n: {n: (1, 1)} for n in ODD}),
    "a cell's own": lambda: tl.describe(
        plt.subplots()[1].barh(range(3), [1, 2, 3], tick_label=ODD)[0].axes, "bars"
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_names_are_drawn_letter_by_letter(name):
    ax = NAMED[name]()
    ax.figure.canvas.draw()
    shown = [t.get_text() for t in ax.findobj(matplotlib.text.Text)]
    assert any("$$" in text for text in shown)


def test_same_name_twice_gets_two_bars():
    answers = pd.DataFrame({"class": ["crane", "crane"], "probability": [0.5, 0.25]})
    ax = tl.plot_answers(discs()[0], answers)
    assert [p.get_width() for p in ax.patches] == [0.25, 0.5]


def test_logarithmic_ticks_stay_powers_of_ten():
    ax = CALLS["plot_points"][0](None)
    ax.figure.canvas.draw()
    labels = [t for t in ax.get_xticklabels() if t.get_text()]
    assert any(r"10^{" in t.get_text() for t in labels)
    assert all(t.get_parse_math() for t in labels)


# --- in a notebook -----------------------------------------------------------------


class Formatter(dict):
    """What IPython keeps for each type of object."""

    for_type = dict.__setitem__


@pytest.fixture
def shell(monkeypatch):
    """Stand in for a notebook's shell."""

    class Shell:
        display_formatter = type("", (), {"formatters": {"image/png": Formatter()}})

    monkeypatch.setattr(plots, "get_ipython", Shell)
    return Shell.display_formatter.formatters["image/png"]


def test_png_carries_the_words_and_few_colours(shell):
    ax = tl.plot_images([Image.effect_noise((64, 64), 99).convert("RGB")], ["noise"])
    data, metadata = shell[matplotlib.figure.Figure](ax.figure)
    assert metadata == {"alt": "1 pictures: noise."}
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format == "PNG" and len(image.getcolors()) <= 200


def test_png_of_a_figure_without_words_stays_as_it_is(shell):
    tl.plot_images(discs())
    other, ax = plt.subplots()
    ax.plot([1, 2])
    raw = shell[matplotlib.figure.Figure](other)
    assert Image.open(io.BytesIO(raw)).format == "PNG"
    assert shell[matplotlib.figure.Figure](plt.figure()) is None


# --- slider and upload button ------------------------------------------------------


@pytest.fixture
def displayed(monkeypatch):
    """Collect what the explorer displays."""
    figures = []
    keep = lambda self, figure: figures.append(figure)  # noqa: E731
    monkeypatch.setattr(ipywidgets.Output, "append_display_data", keep)
    return figures


@pytest.fixture
def explorer(displayed):
    """Slider, upload button, screen, the pictures, and what the network was asked."""
    images, asked = discs(4), []

    def predict(batch):
        asked.extend(batch)
        return np.array([[0.25, 0.75]] * len(batch))

    box = tl.explore_predictions(predict, images, ["cat", "dog"])
    controls, screen = box.children
    return *controls.children, screen, images, asked


def uploaded(content: bytes):
    entry = {
        "name": "mine.jpg",
        "type": "image/jpeg",
        "size": len(content),
        "content": memoryview(content),
        "last_modified": datetime.now(timezone.utc),
    }
    return (entry,)


def put(button, content: bytes) -> None:
    """Upload, in the form of ipywidgets 8 or of 7, whichever is installed."""
    old = {"mine.jpg": {"metadata": {}, "content": content}}
    new = uploaded(content)
    button.set_trait("value", old if isinstance(button.value, dict) else new)


def as_bytes(image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_explorer_is_a_slider_an_upload_button_and_a_screen(explorer):
    slider, upload, screen, images, asked = explorer
    assert isinstance(slider, ipywidgets.IntSlider)
    assert (slider.min, slider.max) == (0, 3)
    assert isinstance(upload, ipywidgets.FileUpload) and not upload.multiple
    assert isinstance(screen, ipywidgets.Output)
    assert asked == [images[0]]


def test_explorer_leaves_the_figures_of_its_cell_alone(displayed):
    twin = tl.plot_images(discs(1)).figure
    tl.explore_predictions(lambda b: [[0.5, 0.5]] * len(b), discs(2)[1:], "ab")
    assert plt.get_fignums() == [twin.number], "the static twin is still to be drawn"
    assert twin not in displayed and len(displayed) == 1


def test_slider_asks_about_the_picture_it_stands_on(explorer, displayed):
    slider, _, _, images, asked = explorer
    for i in (2, 3, 1, 0):
        slider.value = i
        assert asked[-1] is images[i]
        cell = displayed[-1].axes[0].child_axes[0]
        assert np.array_equal(cell.images[0].get_array(), np.asarray(images[i]))


def test_answer_names_class_and_probability(displayed):
    predict = lambda batch: np.array([[0.125, 0.875]])  # noqa: E731
    tl.explore_predictions(predict, discs(1), ["cat", "dog"])
    (figure,) = displayed
    assert figure.axes[0].child_axes[0].get_title() == "dog\n0.88"
    assert figure.alt_text == "1 pictures: dog 0.88."


def test_uploaded_picture_is_predicted(explorer):
    _, upload, _, _, asked = explorer
    mine = draw("square", 9, 24)
    put(upload, as_bytes(mine))
    assert len(asked) == 2
    assert np.array_equal(np.asarray(asked[-1]), np.asarray(mine))


def test_broken_upload_gets_words_and_the_explorer_lives_on(explorer):
    slider, upload, screen, images, asked = explorer
    put(upload, b"this is a letter")
    (said,) = screen.outputs
    assert "✘ The picture cannot be read as a picture" in said["text"]
    assert "save it again as JPEG or PNG" in said["text"]
    assert len(asked) == 1
    slider.value = 2
    assert asked[-1] is images[2] and not screen.outputs


def test_cleared_upload_is_no_error(explorer):
    _, upload, _, _, asked = explorer
    put(upload, as_bytes(draw("square", 9, 24)))
    upload.set_trait("value", type(upload.value)())
    assert len(asked) == 2


def test_upload_of_ipywidgets_7_is_understood():
    mine = draw("square", 9, 24)
    for value in ({"mine.png": {"content": as_bytes(mine)}}, uploaded(as_bytes(mine))):
        assert np.array_equal(np.asarray(plots._read_upload(value)), np.asarray(mine))


def test_letters_that_no_font_here_has_stand_below_in_words(capsys):
    """Boxes tell a reader nothing; the names and numbers are printed."""
    ax = tl.plot_scores({"\U00012000": [0.5], "hund": [0.75]})  # a sign of cuneiform
    said = capsys.readouterr().out
    assert "No font here has the letters \U00012000." in said
    assert "\U00012000 0.500; hund 0.750" in said
    plt.close(ax.figure)


def test_letters_that_another_font_has_are_drawn_with_it(capsys):
    usual = ft2font.FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap()
    other = ft2font.FT2Font(font_manager.findfont("STIXGeneral")).get_charmap()
    letter = chr(min(set(other) - set(usual)))
    ax = tl.plot_scores({f"class {letter}": [0.5]})
    assert capsys.readouterr().out == ""
    (name,) = ax.get_yticklabels()
    assert name.get_family()[0] == plt.rcParams["font.family"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a glyph that is missing
        ax.figure.canvas.draw()
    plt.close(ax.figure)


def test_usual_letters_need_no_other_font(capsys):
    ax = tl.plot_scores({"Größe, naïve, мир, ελπίς": [0.5]})
    assert capsys.readouterr().out == ""
    (name,) = ax.get_yticklabels()
    assert [*dict.fromkeys(name.get_family())] == ["sans-serif", "DejaVu Sans"]
    plt.close(ax.figure)
