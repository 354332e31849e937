"""Pictures of the lessons: take ``ax=None``, return Axes, carry alternative text.

The colours are Okabe and Ito's, with grey for yellow, which colour-blind readers can
tell apart; curves and points also differ in their markers. A method keeps its colour
from figure to figure, as far as eight go round. In a notebook the alternative text
travels with the PNG.
"""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from matplotlib.axes import Axes
from matplotlib.font_manager import fontManager, get_font
from PIL import Image

from .errors import CourseError
from .tasks import read_image

COLOURS = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000 #555555".split()
STYLES = [{"color": c, "marker": m} for c, m in zip(COLOURS, "osD^vPX*")]
MOST = 16  # rows of a table that can still be read
_style_of: dict[str, int] = {}  # what has been drawn so far

Names, Images = Sequence[str], Sequence[Any]


def describe(ax: Axes, text: str) -> Axes:
    """Give the figure of ``ax`` its alternative text and return ``ax``.

    Where several axes share a figure, their texts follow one another. What is written
    in the axes is drawn letter by letter from now on: a class may be called ``$$``. Of
    letters that the usual font lacks another one is looked for. Where none here has
    them, the text is printed below the figure.

    Parameters
    ----------
    ax : Axes
        Finished, its names and its legend included.
    text : str
        What the figure shows, in words, with its numbers.

    Returns
    -------
    Axes
        The same.
    """
    # Ticks that have no text yet get numbers, which on a logarithmic axis are formulas.
    drawn = ax.findobj(lambda a: isinstance(a, plt.Text) and a.get_text())
    families, missing = _families("".join(a.get_text() for a in drawn))
    plt.setp(drawn, parse_math=False, family=families)
    texts = ax.figure.__dict__.setdefault("alt_texts", {})
    texts[ax] = " ".join(text.split())
    if missing:
        print(f"No font here has the letters {missing}. In words: {texts[ax]}")
    ax.figure.alt_text = " ".join(texts.values())
    if shell := get_ipython():
        shell.display_formatter.formatters["image/png"].for_type(plt.Figure, _png)
    return ax


def _families(text: str) -> tuple[list[str], str]:
    """Return fonts that draw a text together, and the letters that none has."""
    found, left = [*plt.rcParams["font.family"]], {c for c in text if c.isprintable()}
    for font in sorted(fontManager.ttflist, key=lambda f: f.name != "DejaVu Sans"):
        if left and "Last Resort" not in font.name:  # which draws boxes for all letters
            have = left & set(map(chr, get_font(font.fname).get_charmap()))
            found, left = found + [font.name] * bool(have), left - have
    return found, "".join(sorted(left))


def _png(figure: plt.Figure) -> Any:
    """Add the alternative text; 200 colours take a third of the room."""
    if not hasattr(figure, "alt_text"):
        return print_figure(figure)
    image = Image.open(io.BytesIO(print_figure(figure))).convert("RGB")
    small = io.BytesIO()
    image.quantize(200, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode(), {"alt": figure.alt_text}


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    return ax or plt.subplots(figsize=(width, height), layout="constrained")[1]


def _finish(ax: Axes, text: str, *, legend: bool = False) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return describe(ax, text)


def _styles(names: Iterable[str]) -> list[dict[str, str]]:
    """Give each name the style that it had before, unless another here has it."""
    found: list[int] = []
    for name in names:
        k = _style_of.setdefault(name, len(_style_of))
        free = [i % 8 for i in range(k, k + 8) if i % 8 not in found]
        found.append([*free, k % 8][0])
    return [STYLES[k] for k in found]


def _inset(ax: Axes, box: tuple[float, ...], image: Any) -> Axes:
    cell, pixels = ax.inset_axes(box), np.asarray(image)
    cell.imshow(np.moveaxis(pixels, 0, -1) if len(pixels) == 3 else pixels)  # (h, w, 3)
    cell.axis("off")
    return cell


def plot_images(
    images: Images, titles: Names = (), *, columns: int = 8, ax: Axes | None = None
) -> Axes:
    """Show pictures in a grid, each with its title.

    Parameters
    ----------
    images : sequence of n
        PIL images, or uint8 tensors of the shape (3, height, width).
    titles : sequence of n str
        Above each picture; empty for none.
    columns : int
        Pictures in a row, >= 1.
    ax : Axes or None
        Where to draw; None opens a figure.

    Returns
    -------
    Axes
        One of its ``child_axes`` for each picture.
    """
    rows = -(-len(images) // columns)
    ax = _axes(ax, 1.4 * columns, (1.7 if titles else 1.45) * rows)
    ax.axis("off")
    for i, (image, title) in enumerate(zip(images, titles or [""] * len(images))):
        row, column = divmod(i, columns)
        box = (column / columns, 1 - (row + 1) / rows, 0.96 / columns, 0.9 / rows)
        _inset(ax, box, image).set_title(title, fontsize=8, pad=2)
    listed = f": {'; '.join(titles)}" if titles else ""
    return describe(ax, f"{len(images)} pictures{listed}.")


def plot_heat(
    images: Images, maps: Sequence[Any], titles: Names = (), *, ax: Axes | None = None
) -> Axes:
    """Show pictures in the light of heat maps, for example Grad-CAM: 0 is dark.

    A line encloses what is more than halfway from the weakest to the strongest.

    Parameters
    ----------
    images : sequence of n
        PIL images, or uint8 tensors of the shape (3, height, width).
    maps : sequence of n tensors or arrays, shape (h, w) each, 0 … 1
        Sizes may differ; each is stretched over its picture.
    titles : sequence of n str
        Above each picture; empty for none.
    ax : Axes or None
        Where to draw; None opens a figure.

    Returns
    -------
    Axes
        One of its ``child_axes`` for each picture.
    """
    ax, said = plot_images(images, titles, columns=len(images), ax=ax), []
    for cell, heat in zip(ax.child_axes, map(np.float32, maps)):
        size = cell.images[0].get_size()[::-1]
        heat = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))
        cell.imshow(0 * heat, "gray", alpha=(0.8 - 0.8 * heat).clip(0, 1))
        if np.ptp(heat):
            cell.contour(heat, [(heat.min() + heat.max()) / 2], colors="#FFD400")
        peak = np.argwhere(heat == heat.max())[0] + 0.5
        y, x = (3 * peak / heat.shape).astype(int)  # thirds
        where = f"{('top', 'middle', 'bottom')[y]} {('left', 'middle', 'right')[x]}"
        said.append(f"{cell.get_title()} strongest at the {where}".strip())
    return describe(ax, f"Heat maps over {len(images)} pictures: {'; '.join(said)}.")


def plot_answers(image: Any, answers: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Show a picture beside the source model's likeliest classes.

    Parameters
    ----------
    image : PIL image or uint8 tensor, shape (3, height, width)
        What was asked.
    answers : DataFrame
        Columns "class" and "probability", likeliest first, as ``SourceModel.answers``
        gives them.
    ax : Axes or None
        Where to draw; None opens a figure.

    Returns
    -------
    Axes
        With a bar for each class.
    """
    ax = _axes(ax, 6.5, 1.9)
    names, p = answers["class"][::-1], answers["probability"][::-1]
    ax.barh(range(len(p)), p, color=COLOURS[0], tick_label=names)
    ax.set(xlabel="probability", xlim=(0, max(0.4, p.max() * 1.1)))
    _inset(ax, (-0.95, 0.0, 0.4, 1.0), image)
    listed = ", ".join(f"{n} {v:.2f}" for n, v in zip(names[::-1], p[::-1]))
    return _finish(ax, f"A picture and the source model's answers: {listed}.")


def mean_sd(values: Sequence[float]) -> str:
    """Write scores as "mean ± sd" (three decimals); one score stands alone.

    Parameters
    ----------
    values : sequence of n numbers, n >= 1
        For example the scores of n seeds.

    Returns
    -------
    str
        The sd is the sample standard deviation.
    """
    v = np.asarray(values, dtype=float)
    return f"{v.mean():.3f}" + (f" ± {v.std(ddof=1):.3f}" if len(v) > 1 else "")


def plot_scores(
    scores: Mapping[str, Sequence[float] | Mapping[str, float]],
    *,
    chance: float | None = None,
    label: str = "test accuracy",
    ax: Axes | None = None,
) -> Axes:
    """Compare methods: a row each, a dot per seed, or a dot and its interval.

    Parameters
    ----------
    scores : mapping, method -> row
        A row is a sequence of scores over seeds, 0 … 1, whose mean is drawn as a bar;
        or a mapping with "accuracy", "low" and "high", 0 … 1.
    chance : float or None
        Drawn as a dashed line, 0 … 1.
    label : str
        Name of the score.
    ax : Axes or None
        Where to draw; None opens a figure.

    Returns
    -------
    Axes
        The first method on top.
    """
    ax, said = _axes(ax, 6.5, 0.6 + 0.5 * len(scores)), []
    for row, ((name, values), style) in enumerate(zip(scores.items(), _styles(scores))):
        judged = isinstance(values, Mapping)
        dots = [values["accuracy"]] if judged else values
        low, high = (values["low"], values["high"]) if judged else (0, np.mean(dots))
        colour, thick = style["color"], 0.15 if judged else 0.8
        ax.barh(row, high - low, thick, low, color=colour, alpha=0.45)
        ax.plot(dots, [row] * len(dots), "o", color=colour, ms=5)
        ax.text(1.02, row, mean_sd(dots), va="center", fontsize=9)
        interval = f" ({low:.3f} to {high:.3f})" if judged else ""
        said.append(f"{name} {mean_sd(dots)}{interval}")
    ax.set_yticks(range(len(scores)), scores)
    ax.set(xlim=(0, 1), ylim=(len(scores) - 0.5, -0.5), xlabel=label)
    if chance is not None:
        ax.axvline(chance, color="black", ls="--", lw=1)
        ax.text(chance, -0.55, "chance", ha="center", fontsize=8)
    over = ", mean ± sd over seeds" if any("±" in text for text in said) else ""
    return _finish(ax, f"{label}{over}: {'; '.join(said)}.")


def plot_curves(
    curves: Mapping[str, Mapping[float, Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str = "test accuracy",
    chance: float | None = None,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw scores along an axis, with bars of ± one standard deviation over seeds.

    Parameters
    ----------
    curves : mapping, name -> {position: scores over seeds}
        Scores 0 … 1; positions in any order, > 0 where ``log``.
    xlabel, ylabel : str
        Names of the axes.
    chance : float or None
        Drawn as a dashed line, 0 … 1.
    log : bool
        Positions on a logarithmic axis, each with its tick: label efficiency.
    ax : Axes or None
        Where to draw; None opens a figure.

    Returns
    -------
    Axes
        With a line for each name, and a bar wherever there are two scores or more.

    Source
    ------
    Label efficiency as a yardstick: Howard and Ruder 2018, figure 3.
    """
    ax, said = _axes(ax, 6.5, 3.8), []
    for style, (name, curve) in zip(_styles(curves), curves.items()):
        x, runs = zip(*sorted(curve.items()))
        mean, sd = np.array([(np.mean(r), pd.Series(r).std()) for r in runs]).T
        ax.errorbar(x, mean, sd, label=name, elinewidth=1, capsize=3, **style)
        said.append(f"{name} " + ", ".join(f"{i:g}: {m:.2f}" for i, m in zip(x, mean)))
    if chance is not None:
        ax.axhline(chance, color="black", ls="--", lw=1, label="chance")
    if log:
        ticks = sorted(set().union(*curves.values()))
        ax.set(xscale="log", xticks=ticks, xticklabels=ticks, ylim=(None, 1.01))
        ax.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _finish(ax, f"{ylabel} by {xlabel}: {'; '.join(said)}.", legend=True)


def plot_matrix(
    values: Any,
    rows: Names,
    columns: Names,
    *,
    digits: int = 2,
    signed: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Show a table of numbers as a table of colours, the numbers inside.

    Of a square table with more than 16 rows, such as the confusions of as many classes,
    only the rows and columns of the eight largest numbers off the diagonal are shown.

    Parameters
    ----------
    values : array-like, shape (n_rows, n_columns)
        Any numbers.
    rows, columns : sequences of str
        Their names.
    digits : int
        Decimals of the numbers, >= 0.
    signed : bool
        Losses in red, gains in blue, each with its sign.
    ax : Axes or None
        Where to draw; None opens a figure.

    Returns
    -------
    Axes
        The first row on top.
    """
    v, about = np.asarray(values), ""
    if len(v) == len(v.T) > MOST:
        about = f"The most confused of {len(v)} classes."
        largest = (v * (1 - np.eye(len(v)))).argsort(axis=None)[-MOST // 2 :]
        most = np.unique(np.divmod(largest, len(v)))  # the rows and columns of these
        v, rows, columns = v[np.ix_(most, most)], *np.array([rows, columns])[:, most]
    ax = _axes(ax, 1.6 + 0.8 * len(columns), 1.2 + 0.5 * len(rows))
    reach = np.abs(v).max()
    low, colours = (-reach, "RdBu") if signed else (min(0, v.min()), "Blues")
    # Half-strength colours, so that black letters can be read on all of them.
    ax.imshow(v, colours, vmin=low, vmax=reach, alpha=0.5, aspect="auto")
    sign, said = "+" if signed else "", []
    for i, (row, line) in enumerate(zip(rows, v)):
        for j, x in enumerate(line):
            ax.text(j, i, f"{x:{sign}.{digits}f}", ha="center", va="center")
        cells = ", ".join(f"{c} {x:.{digits}f}" for c, x in zip(columns, line))
        said.append(f"{row}: {cells}")
    ax.set_xticks(range(len(columns)), columns, rotation=90 if about else 0)
    ax.set(yticks=range(len(rows)), yticklabels=rows, title=about)
    return describe(ax, f"Table. {about} {'; '.join(said)}.")


def plot_points(
    points: Mapping[str, Any], *, log: bool = False, ax: Axes | None = None, **axes: Any
) -> Axes:
    """Show things as points: models by cost and score, words on a map.

    Parameters
    ----------
    points : mapping
        Name -> (x, y): a colour, a marker and an entry of the legend for each point.
        Or group -> {name: (x, y)}: these for each group, and the name beside its point.
    log : bool
        x on a logarithmic axis, > 0.
    ax : Axes or None
        Where to draw; None opens a figure.
    **axes : str or list
        For ``Axes.set``: ``xlabel`` and ``ylabel`` name the axes, ``xticks=[]`` and
        ``yticks=[]`` make a map.

    Returns
    -------
    Axes
        With one collection for each entry of the legend.
    """
    ax, said = _axes(ax, 6.5, 4.2), []
    for style, (name, point) in zip(_styles(points), points.items()):
        members = point if isinstance(point, Mapping) else {"": point}
        xy = np.array([*members.values()], float).reshape(-1, 2)
        ax.scatter(*xy.T, s=60, label=name, zorder=3, **style)
        for label, (x, y) in zip(members, xy):
            ax.annotate(f"  {label}", (x, y), fontsize=8)
            said.append(f"{name} {label} {x:.3g}, {y:.3f}")
    ax.set(xscale="log" if log else "linear", **axes)
    ax.margins(0.15)
    ax.grid(alpha=0.25)
    about = " by ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
    return _finish(ax, f"{about or 'Points'}: {'; '.join(said)}.", legend=True)


def explore_predictions(
    predict: Callable[..., np.ndarray], images: Images, class_names: Names
) -> widgets.VBox:
    """Browse predictions with a slider, or upload a picture of your own.

    Parameters
    ----------
    predict : callable
        Takes n PIL images, gives probabilities, shape (n, n_classes).
    images : sequence of PIL images
        Pictures to browse, >= 1.
    class_names : sequence of n_classes str
        In the order of the probabilities.

    Returns
    -------
    ipywidgets.VBox
        Slider and upload button are reached with the Tab key; the static twin is
        :func:`plot_images`. A picture that cannot be read gets words.
    """
    slider = widgets.IntSlider(0, 0, len(images) - 1, description="picture")
    upload = widgets.FileUpload(accept="image/*", description="your own")
    screen = widgets.Output()

    def show(change: dict) -> None:
        screen.outputs, new = (), change["new"]
        if new in ((), {}):  # a cleared upload
            return
        try:
            image = images[new] if isinstance(new, int) else _read_upload(new)
        except CourseError as error:
            screen.append_stdout(f"✘ {error}")
            return
        p = np.asarray(predict([image])[0])
        title = f"{class_names[p.argmax()]}\n{p.max():.2f}"
        figure = plot_images([image], [title], columns=1).figure
        screen.append_display_data(figure)
        plt.close(figure)

    slider.observe(show, "value")
    upload.observe(show, "value")
    show({"new": 0})
    return widgets.VBox([widgets.HBox([slider, upload]), screen])


def _read_upload(uploaded: Any) -> Image.Image:
    """Read the picture in the value of an upload button.

    Parameters
    ----------
    uploaded : tuple or dict
        The value; ipywidgets 8 gives the one, ipywidgets 7 the other.

    Returns
    -------
    PIL image
        Upright, RGB.

    Raises
    ------
    CourseError
        If it is no picture, is damaged, or has more than 60 million pixels.
    """
    first = next(iter(uploaded.values() if isinstance(uploaded, dict) else uploaded))
    return read_image(io.BytesIO(first["content"]))
