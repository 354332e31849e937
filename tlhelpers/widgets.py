"""Things to play with: short functions over ``plots``, each with a static twin."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .errors import CourseError
from .plots import describe, plot_images
from .tasks import read_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
            show(read_image(io.BytesIO(_content(change["new"]))))
        except CourseError as error:
            with screen:
                print(f"✘ {error}")

    slider.observe(lambda change: show(images[change["new"]]), "value")
    upload.observe(show_upload, "value")
    show(images[0])
    return w.VBox([w.HBox([slider, upload]), screen])


def _content(uploaded: Any) -> bytes:
    """Return the uploaded bytes; ipywidgets 7 and 8 hand them over differently."""
    first = next(iter(uploaded.values() if isinstance(uploaded, dict) else uploaded))
    return bytes(first["content"])


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
