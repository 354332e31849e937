"""Pictures of the lessons: take ``ax=None``, return Axes, carry alternative text.

The colours are Okabe and Ito's, which colour-blind readers can tell apart; curves also
differ in their markers. In a notebook the alternative text travels with the PNG.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .errors import CourseError
from .tasks import read_image
from .vectors import WordVectors, compare_neighbours

if TYPE_CHECKING:
    import pandas as pd

    from .uncertainty import Reliability

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


def describe(ax: Axes, text: str) -> Axes:
    """Give the figure of ``ax`` its alternative text and return ``ax``.

    Where several axes share a figure, their texts follow one another.
    """
    figure = ax.figure
    texts = figure.__dict__.setdefault("alt_texts", {})
    texts[ax] = " ".join(text.split())
    figure.alt_text = " ".join(texts.values())
    _install_alt_text()
    return ax


def _install_alt_text() -> None:
    """Let IPython put the alternative text into the metadata of each PNG."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None or getattr(shell, "tl_alt_text", False):
        return
    formatter = shell.display_formatter.formatters["image/png"]
    draw = formatter.for_type(Figure)
    if draw is None:
        return

    def with_alt_text(figure: Figure) -> Any:
        png = draw(figure)
        data, metadata = png if isinstance(png, tuple) else (png, {})
        alt = getattr(figure, "alt_text", "")
        return (_smaller(data), {**metadata, "alt": alt}) if data and alt else png

    formatter.for_type(Figure, with_alt_text)
    shell.tl_alt_text = True


def _smaller(png: str | bytes) -> str:
    """Reduce a PNG to 200 colours: a third of the size, and notebooks are many."""
    raw = base64.b64decode(png) if isinstance(png, str) else png
    image = Image.open(io.BytesIO(raw)).convert("RGB")
    small = io.BytesIO()
    image.quantize(200, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def _axes(ax: Axes | None, width: float = 6.0, height: float = 3.4) -> Axes:
    if ax is not None:
        return ax
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def plot_images(
    images: Sequence[Any],
    titles: Sequence[str] = (),
    *,
    columns: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Show pictures in a grid, each with its title.

    Parameters
    ----------
    images : sequence of n
        PIL images, or uint8 tensors of the shape (3, height, width).
    titles : sequence of n str
        Under each picture; empty for none.
    columns : int
        Pictures in a row.
    """
    rows = -(-len(images) // columns)
    ax = _axes(ax, 1.25 * columns, (1.55 if titles else 1.3) * rows)
    ax.axis("off")
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        box = (column / columns, 1 - (row + 1) / rows, 0.96 / columns, 0.9 / rows)
        cell = ax.inset_axes(box)
        cell.imshow(_pixels(image))
        cell.axis("off")
        if titles:
            cell.set_title(titles[i], fontsize=8, pad=2)
    said = f": {'; '.join(t.replace(chr(10), ' ') for t in titles)}" if titles else ""
    return describe(ax, f"{len(images)} pictures{said}.")


def _pixels(image: Any) -> np.ndarray:
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] == 3:
        array = array.transpose(1, 2, 0)
    return array


def plot_answers(image: Any, answers: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Show a picture beside the source model's likeliest classes.

    Parameters
    ----------
    image : PIL image or uint8 tensor, shape (3, height, width)
    answers : DataFrame
        Columns "class" and "probability", from ``SourceModel.answers``.
    """
    ax = _axes(ax, 6.5, 1.9)
    names, p = answers["class"][::-1], answers["probability"][::-1]
    ax.barh(names, p, color=COLOURS[0])
    ax.set(xlabel="probability", xlim=(0, max(0.4, p.max() * 1.1)))
    _tidy(ax)
    box = ax.inset_axes((-0.95, 0.0, 0.4, 1.0))
    box.imshow(_pixels(image))
    box.axis("off")
    listed = ", ".join(f"{n} {v:.2f}" for n, v in zip(names[::-1], p[::-1]))
    return describe(ax, f"A picture and the source model's answers: {listed}.")


def plot_scores(
    scores: Mapping[str, Sequence[float]],
    *,
    chance: float | None = None,
    label: str = "test accuracy",
    ax: Axes | None = None,
) -> Axes:
    """Compare methods: one row each, a dot per seed, the mean as a bar.

    Parameters
    ----------
    scores : mapping, method -> scores over seeds, 0 … 1
    chance : float or None
        Drawn as a dashed line.
    label : str
        Name of the score.
    """
    ax = _axes(ax, 6.5, 0.6 + 0.5 * len(scores))
    for row, values in enumerate(scores.values()):
        ax.barh(row, np.mean(values), color=COLOURS[row % 7], alpha=0.45)
        ax.plot(values, [row] * len(values), "o", color=COLOURS[row % 7], ms=5)
        ax.text(1.02, row, mean_sd(values), va="center", fontsize=9)
    ax.set(yticks=range(len(scores)), yticklabels=list(scores), xlim=(0, 1))
    ax.set_xlabel(label)
    ax.invert_yaxis()
    if chance is not None:
        ax.axvline(chance, color="black", ls="--", lw=1)
        ax.text(chance, -0.65, "chance", ha="center", fontsize=8)
    _tidy(ax)
    listed = "; ".join(f"{n} {mean_sd(v)}" for n, v in scores.items())
    over = ", mean ± sd over seeds" if any(len(v) > 1 for v in scores.values()) else ""
    return describe(ax, f"{label}{over}: {listed}.")


def plot_intervals(
    judged: Mapping[str, Mapping[str, float]],
    *,
    chance: float | None = None,
    label: str = "test accuracy, 95 % interval",
    ax: Axes | None = None,
) -> Axes:
    """Compare scores and how well each is known: a dot and its interval per row.

    Parameters
    ----------
    judged : mapping, name -> what :func:`judge` returns
        "accuracy", "low" and "high" are drawn, 0 … 1.
    chance : float or None
        Drawn as a dashed line.
    label : str
        Name of the score.
    """
    ax = _axes(ax, 6.5, 0.6 + 0.5 * len(judged))
    rows = [(j["accuracy"], j["low"], j["high"]) for j in judged.values()]
    for row, (score, low, high) in enumerate(rows):
        ax.plot([low, high], [row, row], color=COLOURS[row % 7], lw=3, alpha=0.6)
        ax.plot(score, row, MARKERS[row % 7], color=COLOURS[row % 7], ms=7)
        ax.text(1.02, row, f"{score:.3f}", va="center", fontsize=9)
    ax.set(yticks=range(len(rows)), yticklabels=list(judged), xlim=(0, 1))
    ax.set_xlabel(label)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    if chance is not None:
        ax.axvline(chance, color="black", ls="--", lw=1)
        ax.text(chance, -0.55, "chance", ha="center", fontsize=8)
    _tidy(ax)
    said = [f"{n} {s:.3f} ({a:.3f} to {b:.3f})" for n, (s, a, b) in zip(judged, rows)]
    return describe(ax, f"{label}: {'; '.join(said)}.")


def mean_sd(values: Sequence[float]) -> str:
    """Write scores as "mean ± sd" (three decimals); one score stands alone."""
    v = np.asarray(values, dtype=float)
    return f"{v.mean():.3f}" + (f" ± {v.std(ddof=1):.3f}" if len(v) > 1 else "")


def plot_curves(
    curves: Mapping[str, Mapping[float, Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str = "test accuracy",
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw scores along an axis, a band of ± one standard deviation over seeds.

    Parameters
    ----------
    curves : mapping, name -> {position: scores over seeds}
    xlabel, ylabel : str
    chance : float or None
        Drawn as a dashed line.
    """
    ax = _axes(ax, 6.5, 3.8)
    said = []
    for k, (name, curve) in enumerate(curves.items()):
        n = np.array(sorted(curve))
        mean = np.array([np.mean(curve[i]) for i in n])
        sd = np.array([np.std(curve[i], ddof=1) if len(curve[i]) > 1 else 0 for i in n])
        ax.plot(n, mean, marker=MARKERS[k % 7], color=COLOURS[k % 7], label=name)
        ax.fill_between(n, mean - sd, mean + sd, color=COLOURS[k % 7], alpha=0.2, lw=0)
        said.append(name + " " + ", ".join(f"{i:g}: {m:.2f}" for i, m in zip(n, mean)))
    if chance is not None:
        ax.axhline(chance, color="black", ls="--", lw=1, label="chance")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(frameon=False, fontsize=9)
    _tidy(ax)
    about = f"{ylabel[:1].upper()}{ylabel[1:]} by {xlabel}"
    return describe(ax, f"{about}. {'; '.join(said)}.")


def plot_label_efficiency(
    curves: Mapping[str, Mapping[int, Sequence[float]]],
    *,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw score against labels per class; see :func:`plot_curves`.

    Source
    ------
    Label efficiency as a yardstick: Howard and Ruder 2018, figure 3.
    """
    ax = plot_curves(curves, xlabel="labels per class", chance=chance, ax=ax)
    ticks = sorted({i for curve in curves.values() for i in curve})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set_ylim(None, 1.01)
    return ax


def plot_reliability(
    tables: Mapping[str, Reliability], *, ax: Axes | None = None
) -> Axes:
    """Draw how often predictions are right against how certain they are.

    Below the diagonal a model is too certain, above it too modest.

    Parameters
    ----------
    tables : mapping, name -> Reliability
        From ``tl.reliability``; larger points stand for more predictions.
    """
    ax = _axes(ax, 4.6, 4.0)
    ax.plot([0, 1], [0, 1], color="black", ls="--", lw=1)
    said = []
    for k, (name, t) in enumerate(tables.items()):
        ax.plot(t.confidence, t.accuracy, color=COLOURS[k % 7], lw=1)
        sizes = 12 + 250 * t.count / t.count.sum()
        style = {"marker": MARKERS[k % 7], "color": COLOURS[k % 7], "label": name}
        ax.scatter(t.confidence, t.accuracy, s=sizes, alpha=0.7, **style)
        gap = float(((t.confidence - t.accuracy) * t.count).sum() / t.count.sum())
        said.append(f"{name} {abs(gap):.2f} too {'certain' if gap > 0 else 'modest'}")
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="certainty", ylabel="share right")
    ax.legend(frameon=False, fontsize=9)
    _tidy(ax)
    return describe(ax, f"Reliability diagram, on average: {'; '.join(said)}.")


def plot_matrix(
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    digits: int = 2,
    signed: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Show a table of numbers as a table of colours, the numbers inside.

    Parameters
    ----------
    values : array-like, shape (n_rows, n_columns)
    rows, columns : names
    digits : int
        Decimals of the numbers.
    signed : bool
        Losses in red, gains in blue, each with its sign.
    """
    v = np.asarray(values)
    ax = _axes(ax, 1.6 + 0.8 * len(columns), 1.2 + 0.5 * len(rows))
    reach = np.abs(v).max()
    colours = ("RdBu", -reach, reach) if signed else ("Blues", min(0, v.min()), None)
    ax.imshow(v, **dict(zip(("cmap", "vmin", "vmax"), colours)), aspect="auto")
    for i, j in np.ndindex(v.shape):
        dark = abs(v[i, j]) > 0.6 * reach if signed else v[i, j] > v.max() / 2
        colour = "white" if dark else "black"
        text = f"{v[i, j]:{'+' if signed else ''}.{digits}f}"
        ax.text(j, i, text, ha="center", va="center", color=colour)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    lines = [
        f"{r}: " + ", ".join(f"{c} {x:.{digits}f}" for c, x in zip(columns, line))
        for r, line in zip(rows, v)
    ]
    return describe(ax, f"Table. {'; '.join(lines)}.")


def plot_leaning(
    values: Mapping[str, float], low: str, high: str, *, ax: Axes | None = None
) -> Axes:
    """Draw numbers to both sides of zero, sorted, to show which way each leans.

    Parameters
    ----------
    values : mapping, name -> number
    low, high : str
        What the left and the right side mean.
    """
    names = sorted(values, key=values.__getitem__)
    ax = _axes(ax, 6.5, 0.9 + 0.27 * len(names))
    numbers = [values[name] for name in names]
    ax.barh(names, numbers, color=[COLOURS[int(v > 0)] for v in numbers], alpha=0.6)
    ax.axvline(0, color="black", lw=1)
    reach = 1.15 * max(map(abs, numbers))
    ax.set(xlim=(-reach, reach), xlabel=f"← {low}        {high} →")
    _tidy(ax)
    listed = "; ".join(f"{n} {values[n]:.2f}" for n in names)
    return describe(ax, f"From {low} (negative) to {high} (positive): {listed}.")


def plot_word_map(
    vectors: WordVectors, groups: Mapping[str, str], *, ax: Axes | None = None
) -> Axes:
    """Lay words on the page by the two directions in which they differ most.

    Parameters
    ----------
    vectors : WordVectors
    groups : mapping, name -> words separated by spaces
        One colour and one marker each; words without a vector are left out.

    Source
    ------
    Principal component analysis (Pearson 1901).
    """
    known = {g: [w for w in t.split() if w in vectors] for g, t in groups.items()}
    points = np.array([vectors[w] for words in known.values() for w in words])
    points = points - points.mean(axis=0)
    points = points @ np.linalg.svd(points, full_matrices=False)[2][:2].T
    ax = _axes(ax, 6.5, 4.6)
    start, where = 0, []
    for i, (group, words) in enumerate(known.items()):
        mine, start = points[start : start + len(words)], start + len(words)
        ax.plot(*mine.T, MARKERS[i % 7], color=COLOURS[i % 7], label=group)
        for word, (x, y) in zip(words, mine):
            ax.annotate(word, (x, y), xytext=(4, 3), textcoords="offset points", size=8)
        x, y = mine.mean(axis=0)
        where.append(f"{group} ({', '.join(words)}) around {x:.2f}, {y:.2f}")
    ax.set(xticks=[], yticks=[])
    ax.margins(0.12)
    ax.legend(fontsize=8)
    return describe(ax, f"Map of words. {'; '.join(where)}.")


def plot_text(
    words: Sequence[str],
    weights: Sequence[float],
    title: str = "",
    *,
    columns: int = 78,
    ax: Axes | None = None,
) -> Axes:
    """Write a text and colour each word by its weight, either side of zero.

    Parameters
    ----------
    words : sequence of n str
    weights : sequence of n numbers
        Positive in orange, negative in blue; the largest in full colour.
    columns : int
        Characters in a line.
    """
    words = [word if word.strip() else "¶" for word in words]
    lines: list[list[int]] = [[]]
    for i, word in enumerate(words):
        if sum(len(words[j]) + 1 for j in lines[-1]) + len(word) > columns:
            lines.append([])
        lines[-1].append(i)
    ax = _axes(ax, 0.078 * columns, 0.5 + 0.24 * len(lines))
    ax.set(xlim=(0, columns), ylim=(len(lines) - 0.4, -0.8))
    ax.axis("off")
    ax.set_title(title, fontsize=9, loc="left")
    largest = max(max(map(abs, weights)), 1e-9)
    for row, line in enumerate(lines):
        x = 0
        for i in line:
            colour = COLOURS[int(weights[i] > 0)]
            strength = 0.75 * abs(weights[i]) / largest
            ax.barh(row, len(words[i]), 0.85, x, color=colour, alpha=strength)
            middle = x + len(words[i]) / 2
            style = {"family": "monospace", "ha": "center", "va": "center"}
            ax.text(middle, row, words[i], fontsize=8, **style)
            x += len(words[i]) + 1
    top = sorted(range(len(words)), key=lambda i: -abs(weights[i]))[:6]
    said = ", ".join(f"{words[i]} {weights[i]:+.2f}" for i in top)
    return describe(ax, f"{title} A text; the weightiest words: {said}.")


def plot_temperature(
    logits: Any,
    class_names: Sequence[str],
    *,
    temperatures: Sequence[float] = (1, 2, 5, 10),
    ax: Axes | None = None,
) -> Axes:
    """Show how a temperature softens a distribution over the classes.

    Parameters
    ----------
    logits : array, shape (n_classes,)
    class_names : sequence of n_classes str
    temperatures : sequence of float
        One group of bars each, > 0.

    Source
    ------
    Hinton, Vinyals and Dean 2015.
    """
    from scipy.special import softmax

    p = softmax(np.asarray(logits, float) / np.array(temperatures)[:, None], axis=1)
    ax, width = _axes(ax), 0.8 / len(class_names)
    for c, name in enumerate(class_names):
        places = np.arange(len(temperatures)) + (c + 0.5) * width - 0.4
        bars = ax.bar(places, p[:, c], 0.92 * width, label=name, color=COLOURS[c % 7])
        ax.bar_label(bars, fmt="%.2f", fontsize=7)
    ax.set_xticks(range(len(temperatures)), [f"T = {t:g}" for t in temperatures])
    ax.set(ylim=(0, 1.08), ylabel="probability")
    ax.legend(frameon=False)
    _tidy(ax)
    said = "; ".join(
        f"at T = {t:g} " + ", ".join(f"{n} {v:.2f}" for n, v in zip(class_names, row))
        for t, row in zip(temperatures, p)
    )
    return describe(ax, f"Probabilities of the classes: {said}.")


def plot_tradeoff(
    models: Mapping[str, tuple[float, float]],
    *,
    xlabel: str = "milliseconds for one, CPU",
    ylabel: str = "test accuracy",
    log: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Show each model as a point: what it costs, or promises, and how good it is.

    Parameters
    ----------
    models : mapping, name -> (cost, score)
    xlabel, ylabel : str
    log : bool
        Costs on a logarithmic axis, > 0.
    """
    ax = _axes(ax)
    for i, (name, (cost, score)) in enumerate(models.items()):
        style = {"color": COLOURS[i % 7], "marker": MARKERS[i % 7]}
        ax.scatter(cost, score, s=60, label=name, zorder=3, **style)
    ax.set(xscale="log" if log else "linear", xlabel=xlabel, ylabel=ylabel)
    ax.margins(0.15)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, fontsize=8)
    _tidy(ax)
    said = "; ".join(f"{n} {c:.3g}, {s:.3f}" for n, (c, s) in models.items())
    return describe(ax, f"{xlabel} and {ylabel} of each model: {said}.")


def plot_pieces(
    rows: Sequence[Sequence[str]],
    ids: Any,
    *,
    padding: str = "[PAD]",
    ax: Axes | None = None,
) -> Axes:
    """Show a batch of texts as the model gets it: pieces, their numbers, the padding.

    Parameters
    ----------
    rows : n sequences of str, all of one length
        The pieces.
    ids : array, shape (n, length)
        Their numbers.
    padding : str
        The piece that stands behind the end of a text; drawn grey.
    """
    length = len(rows[0])
    ax = _axes(ax, 0.62 * length, 0.45 + 0.62 * len(rows))
    ax.set(xlim=(0, length), ylim=(len(rows), 0))
    ax.axis("off")
    for i, row in enumerate(rows):
        for j, piece in enumerate(row):
            colour = (
                "0.85" if piece == padding else COLOURS[5 if piece[0] != "[" else 4]
            )
            ax.barh(i + 0.5, 0.94, 0.86, j + 0.03, color=colour, alpha=0.5)
            style = {"ha": "center", "va": "center", "family": "monospace"}
            ax.text(j + 0.5, i + 0.36, piece, fontsize=7, **style)
            ax.text(j + 0.5, i + 0.7, str(int(ids[i][j])), fontsize=6, **style)
    said = "; ".join(" ".join(p for p in row if p != padding) for row in rows)
    filled = sum(piece == padding for row in rows for piece in row)
    return describe(ax, f"{len(rows)} texts in pieces: {said}. {filled} are padding.")


def plot_confusion(
    truth: Sequence[int],
    guess: Sequence[int],
    class_names: Sequence[str],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Count true class (rows) against predicted class (columns)."""
    n = len(class_names)
    counts = np.zeros((n, n), dtype=int)
    np.add.at(counts, (np.asarray(truth), np.asarray(guess)), 1)
    ax = plot_matrix(counts, class_names, class_names, digits=0, ax=ax)
    ax.set(xlabel="predicted", ylabel="true")
    pairs = [
        f"{class_names[i]} taken for {class_names[j]} {counts[i, j]} times"
        for i, j in np.ndindex(n, n)
        if i != j and counts[i, j]
    ]
    right = int(np.trace(counts))
    listed = "; ".join(pairs) or "no errors"
    return describe(ax, f"Confusion: {right} of {counts.sum()} right; {listed}.")


def plot_heat(
    images: Sequence[Any],
    maps: Any,
    titles: Sequence[str] = (),
    *,
    ax: Axes | None = None,
) -> Axes:
    """Lay heat maps over pictures, for example Grad-CAM.

    Parameters
    ----------
    images : sequence of n pictures
    maps : n Tensors or ndarrays, shape (h, w) each, 0 … 1
    titles : sequence of n str
    """
    ax = plot_images(images, titles, columns=len(images), ax=ax)
    maps = [np.asarray(heat) for heat in maps]
    for cell, heat in zip(ax.child_axes, maps):
        height, width = cell.images[0].get_array().shape[:2]
        area = (-0.5, width - 0.5, height - 0.5, -0.5)
        cell.imshow(heat, extent=area, cmap="magma", alpha=0.5, interpolation="bicubic")
    said = []
    for title, heat in zip(titles or [""] * len(images), maps):
        y, x = (
            np.unravel_index(heat.argmax(), heat.shape) + np.array(0.5)
        ) / heat.shape
        where = f"{_third(y, 'top', 'bottom')} {_third(x, 'left', 'right')}"
        said.append(f"{title.replace(chr(10), ' ')} strongest at the {where}".strip())
    return describe(ax, f"Heat maps over {len(images)} pictures: {'; '.join(said)}.")


def _third(position: float, low: str, high: str) -> str:
    return low if position < 1 / 3 else high if position > 2 / 3 else "middle"


Predict = Callable[[Sequence[Image.Image]], np.ndarray]


def explore_predictions(
    predict: Predict, images: Sequence[Image.Image], class_names: Sequence[str]
) -> Any:
    """Browse predictions with a slider, or upload a picture of your own.

    Parameters
    ----------
    predict : callable
        Takes n PIL images, gives probabilities, shape (n, n_classes).
    images : sequence of PIL images
        Pictures to browse, >= 1.
    class_names : sequence of n_classes str

    Returns
    -------
    ipywidgets.VBox
        Slider and upload button are reached with the Tab key; the static twin is
        :func:`plot_prediction`.
    """
    import ipywidgets as w
    import matplotlib.pyplot as plt
    from IPython.display import display

    slider = w.IntSlider(0, 0, len(images) - 1, description="picture")
    upload = w.FileUpload(accept="image/*", multiple=False, description="your own")
    screen = w.Output()

    def show(image: Image.Image) -> None:
        screen.clear_output(wait=True)
        with screen:
            figure = plot_prediction(image, predict([image])[0], class_names).figure
            # Shown alone: plt.show would draw the cell's other figures in here, too.
            display(figure)
            plt.close(figure)

    def show_upload(change: dict) -> None:
        screen.clear_output(wait=True)
        if not change["new"]:
            return
        try:
            show(read_upload(change["new"]))
        except CourseError as error:
            with screen:
                print(f"✘ {error}")

    slider.observe(lambda change: show(images[change["new"]]), "value")
    upload.observe(show_upload, "value")
    show(images[0])
    return w.VBox([w.HBox([slider, upload]), screen])


def explore_words(sources: Mapping[str, WordVectors], word: str) -> Any:
    """Type a word and see its neighbours in each set of vectors.

    Parameters
    ----------
    sources : mapping, name -> WordVectors
    word : str
        The first word.

    Returns
    -------
    ipywidgets.VBox
        The static twin is :func:`compare_neighbours`.
    """
    import ipywidgets as w

    field, screen = w.Text(word, description="word"), w.Output()

    def show(asked: str) -> None:
        screen.clear_output(wait=True)
        with screen:
            print(compare_neighbours(sources, [asked.strip().lower()]))

    field.observe(lambda change: show(change["new"]), "value")
    show(word)
    return w.VBox([field, screen])


def explore_texts(
    predict: Callable[[Sequence[str]], np.ndarray],
    text: str,
    class_names: Sequence[str],
) -> Any:
    """Type or paste a text and see what the model makes of it.

    Parameters
    ----------
    predict : callable
        Takes n texts, gives probabilities, shape (n, n_classes).
    text : str
        The first text.
    class_names : sequence of n_classes str

    Returns
    -------
    ipywidgets.VBox
        The button is reached with the Tab key; the static twin is
        :func:`describe_predictions`.
    """
    import ipywidgets as w

    box = w.Textarea(text, layout=w.Layout(width="95%", height="9em"))
    button, screen = w.Button(description="What is it?"), w.Output()

    def show(_: Any = None) -> None:
        screen.clear_output(wait=True)
        with screen:
            if box.value.strip():
                print(describe_predictions(predict, [box.value], class_names))
            else:
                print("✘ There is no text yet. Type or paste one above.")

    button.on_click(show)
    show()
    return w.VBox([box, button, screen])


def explore_temperature(logits: Any, class_names: Sequence[str]) -> Any:
    """Move a slider and see the distribution at that temperature.

    Parameters
    ----------
    logits : array, shape (n_classes,)
    class_names : sequence of n_classes str

    Returns
    -------
    ipywidgets.VBox
        The static twin is :func:`tlhelpers.plot_temperature`.
    """
    import ipywidgets as w
    import matplotlib.pyplot as plt
    from IPython.display import display

    slider = w.FloatSlider(1.0, min=0.5, max=20, step=0.5, description="T")
    screen = w.Output()

    def show(temperature: float) -> None:
        screen.clear_output(wait=True)
        with screen:
            ax = plot_temperature(logits, class_names, temperatures=[temperature])
            display(ax.figure)
            plt.close(ax.figure)

    slider.observe(lambda change: show(change["new"]), "value")
    show(slider.value)
    return w.VBox([slider, screen])


def explore_scores(
    scores: Mapping[str, np.ndarray],
    truth: np.ndarray,
    targets: Sequence[str],
    sources: Sequence[str],
) -> Any:
    """Choose a score and a target and see what each source promised and gave.

    Parameters
    ----------
    scores : mapping, name -> array, shape (n_targets, n_sources)
        Computed before training.
    truth : array, shape (n_targets, n_sources)
        The transfer gain that was reached.
    targets, sources : sequences of str

    Returns
    -------
    ipywidgets.VBox
        The static twin is :func:`tlhelpers.plot_tradeoff`.
    """
    import ipywidgets as w
    import matplotlib.pyplot as plt
    from IPython.display import display

    score = w.Dropdown(options=list(scores), description="score")
    target = w.Dropdown(options=list(targets), description="target")
    screen = w.Output()

    def show(_: Any = None) -> None:
        row = list(targets).index(target.value)
        points = dict(zip(sources, zip(scores[score.value][row], truth[row])))
        screen.clear_output(wait=True)
        with screen:
            title = f"{score.value}, {target.value}"
            ax = plot_tradeoff(points, xlabel=title, ylabel="transfer gain", log=False)
            display(ax.figure)
            plt.close(ax.figure)

    for box in (score, target):
        box.observe(show, "value")
    show()
    return w.VBox([w.HBox([score, target]), screen])


def describe_predictions(
    predict: Callable[[Sequence[str]], np.ndarray],
    texts: Sequence[str],
    class_names: Sequence[str],
) -> str:
    """Write one line per text: class, probability, and how the text begins."""
    lines = []
    for text, p in zip(texts, predict(texts)):
        start = " ".join(text.split())[:60]
        lines.append(f"{class_names[int(p.argmax())]} {p.max():.2f} · {start}")
    return "\n".join(lines)


def read_upload(uploaded: Any) -> Image.Image:
    """Read the picture in the value of an upload button, as :func:`read_image` does.

    Raises
    ------
    CourseError
        If it is no picture, is damaged, or has more than 60 million pixels.
    """
    # ipywidgets 7 and 8 hand an upload over differently.
    first = next(iter(uploaded.values() if isinstance(uploaded, dict) else uploaded))
    return read_image(io.BytesIO(first["content"]))


def plot_prediction(
    image: Image.Image,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Show one picture with its predicted class and probability."""
    best = int(np.argmax(probabilities))
    title = f"{class_names[best]}\n{probabilities[best]:.2f}"
    ax = plot_images([image], [title], columns=1, ax=ax)
    return describe(ax, f"A picture predicted as {title.replace(chr(10), ' with ')}.")
