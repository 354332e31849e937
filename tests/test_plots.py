"""Every plot returns its Axes, shows nothing by itself, and says itself in words."""

from __future__ import annotations

import inspect

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import draw
from matplotlib.colors import to_hex
from PIL import Image

import tlhelpers as tl
from tlhelpers import plots
from tlhelpers.vectors import WordVectors

#: Okabe and Ito 2008, "Color Universal Design", their eight colours.
OKABE_ITO = {
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
}


@pytest.fixture(autouse=True)
def closed_figures(monkeypatch):
    matplotlib.use("Agg")
    plt.close("all")
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("a plot called show"))
    yield
    plt.close("all")


def discs(n=2):
    return [draw("disc", i, 24) for i in range(n)]


ANSWERS = pd.DataFrame({"class": ["tabby", "lynx"], "probability": [0.75, 0.125]})
HEAT = np.zeros((2, 6, 6))
HEAT[0, 0, 0] = HEAT[1, 5, 2] = 1
CROSS = WordVectors(
    "cross", tuple("abcd"), np.array([[2, 0], [-2, 0], [0, 1], [0, -1.0]])
)
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
    "plot_intervals": (
        lambda ax: tl.plot_intervals({"a": JUDGED}, chance=0.5, ax=ax),
        ["a 0.800 (0.700 to 0.875)", "95 % interval"],
    ),
    "plot_label_efficiency": (
        lambda ax: tl.plot_label_efficiency(
            {"tuned": {20: [0.9, 0.8], 5: [0.6, 0.6]}, "scratch": {5: [0.5]}},
            chance=0.5,
            ax=ax,
        ),
        ["tuned 5: 0.60, 20: 0.85", "scratch 5: 0.50"],
    ),
    "plot_curves": (
        lambda ax: tl.plot_curves({"a": {0.5: [1, 0.8], 1: [0.7]}}, xlabel="x", ax=ax),
        ["Test accuracy by x", "a 0.5: 0.90, 1: 0.70"],
    ),
    "plot_matrix": (
        lambda ax: tl.plot_matrix([[0.25, 1.0]], ["tuned"], ["early", "late"], ax=ax),
        ["tuned: early 0.25, late 1.00"],
    ),
    "plot_reliability": (
        lambda ax: tl.plot_reliability(
            {"a": tl.reliability(np.array([[0.9, 0.1]] * 2), np.array([0, 1]))}, ax=ax
        ),
        ["a 0.40 too certain"],
    ),
    "plot_confusion": (
        lambda ax: tl.plot_confusion([0, 0, 1, 1], [0, 1, 1, 1], ["cat", "dog"], ax=ax),
        ["3 of 4 right", "cat taken for dog 1 times"],
    ),
    "plot_pieces": (
        lambda ax: tl.plot_pieces(
            [["[CLS]", "so", "[PAD]"], ["[CLS]", "un", "##do"]],
            [[1, 2, 0], [1, 3, 4]],
            ax=ax,
        ),
        ["2 texts", "[CLS] so; [CLS] un ##do", "1 are padding"],
    ),
    "plot_temperature": (
        lambda ax: tl.plot_temperature(
            torch.tensor([2.0, 0.0]), ["cat", "dog"], temperatures=[1, 2], ax=ax
        ),
        ["at T = 1 cat 0.88, dog 0.12", "at T = 2 cat 0.73, dog 0.27"],
    ),
    "plot_tradeoff": (
        lambda ax: tl.plot_tradeoff({"large": (120, 0.9), "small": (0.5, 0.8)}, ax=ax),
        ["large 120, 0.900", "small 0.5, 0.800", "milliseconds"],
    ),
    "plot_leaning": (
        lambda ax: tl.plot_leaning({"b": 0.25, "a": -0.5}, "left", "right", ax=ax),
        ["left (negative)", "right (positive)", "a -0.50; b 0.25"],
    ),
    "plot_word_map": (
        lambda ax: tl.plot_word_map(CROSS, {"wide": "a b", "high": "c d ?"}, ax=ax),
        ["wide (a, b) around", "high (c, d) around"],
    ),
    "plot_text": (
        lambda ax: tl.plot_text(["win", "\n", "boat"], [0.5, 0, -0.75], "spam", ax=ax),
        ["spam", "boat -0.75, win +0.50, ¶"],
    ),
    "plot_heat": (
        lambda ax: tl.plot_heat(discs(), HEAT, ["cat", "dog"], ax=ax),
        ["cat strongest at the top left", "dog strongest at the bottom middle"],
    ),
}


def test_every_plot_is_tried_here():
    assert set(CALLS) == {n for n in tl.__all__ if n.startswith("plot_")}


@pytest.mark.parametrize("name", CALLS)
def test_plot_takes_ax_by_keyword_and_makes_one_where_none_is_given(name):
    ax = inspect.signature(getattr(tl, name)).parameters["ax"]
    assert ax.default is None and ax.kind is ax.KEYWORD_ONLY
    assert isinstance(CALLS[name][0](None), matplotlib.axes.Axes)
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("name", CALLS)
def test_plot_draws_into_the_axes_it_is_given(name):
    figure, (left, right) = plt.subplots(1, 2)
    assert CALLS[name][0](right) is right
    assert plt.get_fignums() == [figure.number]
    assert not left.has_data() and not left.child_axes
    assert right.has_data() or right.child_axes


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
    scores = {str(k): [0.5, 0.6] for k in range(7)}
    bars = tl.plot_scores(scores).patches
    assert {to_hex(b.get_facecolor()) for b in bars} <= OKABE_ITO
    curves = {str(k): {5: [0.5], 20: [0.6]} for k in range(7)}
    lines = tl.plot_label_efficiency(curves).get_lines()
    assert {to_hex(line.get_color()) for line in lines} <= OKABE_ITO
    assert len({line.get_marker() for line in lines}) == 7


def test_two_plots_in_one_figure_both_keep_their_words():
    _, (left, right) = plt.subplots(1, 2)
    CALLS["plot_scores"][0](left)
    CALLS["plot_confusion"][0](right)
    text = left.figure.alt_text
    assert "a 0.800" in text and "3 of 4 right" in text


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


def test_label_efficiency_orders_the_budgets_and_marks_chance():
    ax = CALLS["plot_label_efficiency"][0](None)
    tuned = ax.get_lines()[0]
    assert tuned.get_xdata().tolist() == [5, 20]
    np.testing.assert_allclose(tuned.get_ydata(), [0.6, 0.85])
    assert ax.get_xscale() == "log"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["5", "20"]
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["tuned", "scratch", "chance"]


def test_label_efficiency_band_is_one_standard_deviation():
    band = CALLS["plot_label_efficiency"][0](None).collections[0]
    corners = band.get_paths()[0].vertices
    at_20 = corners[np.isclose(corners[:, 0], 20), 1]
    sd = np.std([0.9, 0.8], ddof=1)
    assert (at_20.min(), at_20.max()) == pytest.approx((0.85 - sd, 0.85 + sd))


def test_confusion_has_the_truth_in_rows():
    ax = CALLS["plot_confusion"][0](None)
    assert ax.images[0].get_array().tolist() == [[1, 1], [0, 2]]
    assert [t.get_text() for t in ax.texts] == ["1", "1", "0", "2"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cat", "dog"]


def test_confusion_without_errors_says_so():
    ax = tl.plot_confusion([0, 1], [0, 1], ["cat", "dog"])
    assert "2 of 2 right; no errors" in ax.figure.alt_text


def test_heat_covers_the_whole_picture():
    ax = tl.plot_heat([Image.new("RGB", (30, 20))], torch.tensor(HEAT[:1]))
    picture, heat = ax.child_axes[0].images
    assert heat.get_extent() == [-0.5, 29.5, 19.5, -0.5]
    assert np.array_equal(np.asarray(heat.get_array()), HEAT[0])
    assert heat.get_alpha() == 0.5
    assert picture.get_array().shape[:2] == (20, 30)


def test_heat_maps_may_differ_in_size():
    small, large = np.eye(2), np.eye(5)
    ax = tl.plot_heat(discs()[:2], [small, large], ["small", "large"])
    shown = [cell.images[1].get_array().shape for cell in ax.child_axes]
    assert shown == [(2, 2), (5, 5)]


def test_scores_of_one_run_are_not_called_means():
    one, two = tl.plot_scores({"a": [0.5]}), tl.plot_scores({"a": [0.5, 0.7]})
    assert one.figure.alt_text.startswith("test accuracy: a 0.500")
    assert two.figure.alt_text.startswith("test accuracy, mean ± sd over seeds: a")


def test_leaning_is_sorted_and_zero_is_in_the_middle():
    ax = tl.plot_leaning({"b": 0.25, "a": -0.5, "c": 0.1}, "left", "right")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "c", "b"]
    low, high = ax.get_xlim()
    assert low == -high and high > 0.5


def test_word_map_shows_the_widest_direction_first():
    figure, ax = plt.subplots()
    tl.plot_word_map(CROSS, {"wide": "a b", "high": "c d"}, ax=ax)
    (x, _), (_, y) = (line.get_data() for line in ax.get_lines())
    assert np.ptp(x) == pytest.approx(2) and np.ptp(y) == pytest.approx(2)
    assert {t.get_text() for t in ax.texts} == set("abcd")


def test_text_breaks_its_lines_and_colours_by_sign():
    words = ["one"] * 30
    ax = tl.plot_text(words, [1, -1] * 15, columns=20)
    assert len({t.get_position()[1] for t in ax.texts}) == 6
    ends = [t.get_position()[0] + 1.5 for t in ax.texts]
    assert max(ends) <= 20
    colours = [to_hex(p.get_facecolor()) for p in ax.patches[:2]]
    assert colours == [plots.COLOURS[1].lower(), plots.COLOURS[0].lower()]


def test_temperatures_of_the_bars_are_softmaxes():
    ax = CALLS["plot_temperature"][0](None)
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, 2)
    assert np.allclose(heights.sum(axis=0), 1)
    assert heights[0].tolist() == pytest.approx(
        [1 / (1 + np.exp(-2)), 1 / (1 + 1 / np.e)]
    )


def test_costs_stand_on_a_logarithmic_axis():
    ax = CALLS["plot_tradeoff"][0](None)
    assert ax.get_xscale() == "log"
    assert [c.get_offsets().tolist()[0] for c in ax.collections] == [
        [120, 0.9],
        [0.5, 0.8],
    ]


def test_a_promise_has_a_linear_axis():
    points = {"a": (-0.5, 0.1), "b": (0.0, -0.2)}
    ax = tl.plot_tradeoff(points, xlabel="LogME", ylabel="transfer gain", log=False)
    assert ax.get_xscale() == "linear" and ax.get_xlim()[0] < -0.5
    assert "a -0.5, 0.100" in ax.figure.alt_text


def test_losses_and_gains_have_opposite_colours():
    ax = tl.plot_matrix([[-0.2, 0.1]], ["shapes"], ["pets", "cells"], signed=True)
    (image,) = ax.images
    assert image.get_clim() == (-0.2, 0.2)
    red, blue = (image.cmap(image.norm(v)) for v in (-0.2, 0.2))
    assert red[0] > red[2] and blue[2] > blue[0]
    assert [t.get_text() for t in ax.texts] == ["-0.20", "+0.10"]
    assert "pets -0.20, cells 0.10" in ax.figure.alt_text


def test_pieces_carry_their_numbers():
    texts = [t.get_text() for t in CALLS["plot_pieces"][0](None).texts]
    assert texts[:4] == ["[CLS]", "1", "so", "2"] and texts[-2:] == ["##do", "4"]
