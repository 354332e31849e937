"""Draw the diagrams of notebook 00; they are attached to its cells.

Run it from the project's root: `python notebooks/images/draw_images.py`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, GREY = "#CFE4F2", "#F8DCC4", "#CDEBDF", "#E8E8E8"


def box(ax: Axes, x: float, y: float, w: float, h: float, text: str, fill: str) -> None:
    """Draw a rounded box with centred text."""
    style = "round,pad=0.02,rounding_size=0.12"
    ax.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=style, fc=fill, ec="#333333"))
    ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=9)


def arrow(ax: Axes, x: float, y: float, dx: float, dy: float = 0) -> None:
    """Draw an arrow from (x, y)."""
    line = dict(arrowstyle="-|>", color="#333333")
    ax.annotate("", (x + dx, y + dy), (x, y), arrowprops=line)


def canvas(width: float, height: float) -> Axes:
    """Return empty axes without frame, one unit to the inch."""
    ax = plt.figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def body_and_head() -> None:
    """Source model above, target model below, the body handed down."""
    ax = canvas(7.4, 2.7)
    for y, data, head, fill in (
        (1.6, "source data:\nmany labels", "old head:\n1,000 classes", GREY),
        (0.3, "target data:\nfew labels", "new head:\nour classes", ORANGE),
    ):
        box(ax, 0.2, y, 1.5, 0.8, data, GREY if y > 1 else ORANGE)
        box(ax, 2.4, y, 2.4, 0.8, "body", BLUE)
        box(ax, 5.5, y, 1.6, 0.8, head, fill)
        arrow(ax, 1.75, y + 0.4, 0.6)
        arrow(ax, 4.85, y + 0.4, 0.6)
    arrow(ax, 3.6, 1.55, 0, -0.4)
    ax.text(3.7, 1.34, "transfer", fontsize=9, va="center")
    plt.savefig(HERE / "body_and_head.png", dpi=80)
    plt.close()


def two_ways() -> None:
    """The two ways side by side, four steps each."""
    ax = canvas(7.4, 2.5)
    rows = [
        (1.5, "use a\npre-trained model", ["choose\na source model", None], BLUE),
        (0.3, "develop\na model", ["select\na source task", "build and train\na model"], GREEN),
    ]
    for y, title, (first, second), fill in rows:
        ax.text(0.1, y + 0.35, title, fontsize=9, va="center", weight="bold")
        box(ax, 1.6, y, 1.2 if second else 2.75, 0.7, first, fill)
        if second:
            box(ax, 3.1, y, 1.25, 0.7, second, fill)
            arrow(ax, 2.82, y + 0.35, 0.26)
        box(ax, 4.7, y, 1.1, 0.7, "reuse\nthe body", ORANGE)
        box(ax, 6.15, y, 1.1, 0.7, "tune\non the target", ORANGE)
        arrow(ax, 4.38, y + 0.35, 0.3)
        arrow(ax, 5.83, y + 0.35, 0.3)
    plt.savefig(HERE / "two_ways.png", dpi=80)
    plt.close()


if __name__ == "__main__":
    body_and_head()
    two_ways()
