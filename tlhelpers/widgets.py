"""Things to play with: short functions over ``plots``, each with a static twin."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .errors import CourseError
from .plots import describe, plot_images, plot_temperature, plot_tradeoff
from .tasks import read_image
from .vectors import WordVectors, compare_neighbours

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
