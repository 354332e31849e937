"""Read data of one's own, and plan what suits it and the time there is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..bert import LONGEST
from ..datasets import load_flowers, load_reviews
from ..errors import CourseError
from ..features import extract_features
from ..heads import LogisticRepurposer
from ..own_data import from_csv, from_folder
from ..surgery import freeze_batch_norm
from ..tasks import PARTS, ImageTask, Task, TextTask, check_splits
from ..training import fit
from .keep import AT_A_TIME, answer, encode_examples, with_new_head

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Plan:
    """What will be done, how long it should take, and why.

    Attributes
    ----------
    kind : {"images", "texts"}
    source : str
        Name of the source model.
    method : {"frozen", "tuned"}
        "frozen": logistic regression on a body that stands still. "tuned": from there
        everything learns on, as far as the valid part finds it better.
    size : int
        Side of the pictures in pixels, or the most pieces of a text.
    steps, batch_size : int
        Steps of fine-tuning, and of the control from scratch.
    lr, body_factor : float
        Rate of the head; the body learns at ``lr * body_factor``.
    scratch_lr : float
        Rate of the control.
    seconds : dict, stage -> float
        The estimate, from batches that were timed.
    why : tuple of str
        One reason for each choice.
    """

    kind: str
    source: str
    method: str
    size: int
    steps: int
    batch_size: int
    lr: float
    body_factor: float
    scratch_lr: float
    seconds: dict[str, float]
    why: tuple[str, ...]

    def __str__(self) -> str:
        stages = " · ".join(f"{k} {v:.0f} s" for k, v in self.seconds.items())
        return "\n".join([*self.why, stages])


class Rule(NamedTuple):
    """One row of the decision table; the first that holds decides."""

    condition: str
    method: str
    why: str
    holds: Callable[[int, float], bool]


FEWEST_LABELS, FEWEST_STEPS = 10, 20
FEW_STEPS = 60  # what few examples get, however often they come round
RULES = (
    Rule(
        f"fewer than {FEWEST_LABELS} labels in some class",
        "frozen",
        "has little to learn; the rest of the network cannot go astray",
        lambda labels, steps: labels < FEWEST_LABELS,
    ),
    Rule(
        f"fewer than {FEWEST_STEPS} steps in the budget",
        "frozen",
        "computes features once; training comes back for every step",
        lambda labels, steps: steps < FEWEST_STEPS,
    ),
    Rule(
        "more labels and more time",
        "tuned",
        "starts as the frozen one and keeps what the valid part finds better",
        lambda labels, steps: True,
    ),
)


class Recipe(NamedTuple):
    """What suits a kind of data; sizes from the best to the fastest."""

    source: str
    why: str
    sizes: tuple[int, ...]
    batch_size: int
    lr: float
    body_factor: float
    scratch_lr: float
    passes: tuple[int, int]  # over the training examples: enough, and at most


RECIPES = {
    "images": Recipe(
        "efficientnet_lite0",
        "has met a thousand kinds of things in photographs",
        (224, 160, 128, 96),
        batch_size=8,
        lr=1e-3,
        body_factor=0.1,
        scratch_lr=3e-3,
        passes=(4, 8),
    ),
    "texts": Recipe(
        "minilm",
        "has read a billion pairs of English sentences",
        (LONGEST,),
        batch_size=16,
        lr=2e-3,
        body_factor=0.05,
        scratch_lr=3e-4,
        passes=(1, 4),
    ),
}
ENLARGED = 2.2  # times its own size: more adds nothing but time
TRIED = 300  # training examples on which sizes are compared
#: Share of the budget that is planned; the rest is for looking, drawing and surprises.
PLANNED = 0.7


def decision_table() -> pd.DataFrame:
    """Return the rules by which :func:`choose_plan` decides, in their order."""
    import pandas as pd

    kinds = {"images": "pictures", "texts": "texts"}
    rows = [(kinds[k], f"source {r.source}", r.why) for k, r in RECIPES.items()]
    rows += [(r.condition, f"method {r.method}", r.why) for r in RULES]
    return pd.DataFrame(rows, columns=["if there are", "take", "because it"])


def read_data(
    path: str | Path | None = None,
    task: str = "auto",
    *,
    profile: str = "mini",
    seed: int = 0,
    limit: int = 10_000,
) -> ImageTask | TextTask:
    """Read your own data, or data of the course, split before anything else.

    Parameters
    ----------
    path : path or None
        A folder with one sub-folder per class, or a CSV file (also .csv.gz, .csv.xz)
        with the columns text and label. None takes data of the course.
    task : {"auto", "images", "texts"}
        "auto": what the path says; pictures where there is none.
    profile : {"mini", "full"}
        Which data of the course.
    seed : int
        Seed of the split.
    limit : int
        At most so many examples, chosen at random, so that nothing takes hours.

    Raises
    ------
    CourseError
        If the task is unknown or does not fit the path, or the data cannot be used.
    """
    if task not in ("auto", *RECIPES):
        raise CourseError(
            f"There is no task {task!r}.", 'Use "auto", "images" or "texts".'
        )
    if path is None:
        load = load_reviews if task == "texts" else load_flowers
        return load(profile, seed=seed)
    file = Path(path).expanduser()
    found = "images" if file.is_dir() else "texts"
    if not file.exists():
        raise CourseError(f"There is nothing at {file}.", "Check the path in DATA.")
    if task not in ("auto", found):
        what = "a folder" if found == "images" else "a file"
        raise CourseError(
            f"{file} is {what}, but the task is {task!r}.",
            "Pictures come in a folder, texts in a CSV file.",
        )
    if found == "images":
        return _limit(from_folder(file, seed=seed), limit, seed)
    if not re.search(r"\.csv(\.gz|\.xz)?$|\.tsv$", file.name.lower()):
        raise CourseError(
            f"{file.name} is no CSV file.",
            "Give a CSV file with the columns text and label, or a folder of pictures.",
        )
    return _limit(from_csv(file, seed=seed), limit, seed)


def _limit(task: Any, limit: int, seed: int) -> Any:
    """Keep the same share of each split, so that no more than the limit are left."""
    total = sum(len(getattr(task, k)) for k in PARTS)
    if total <= limit:
        return task
    rng, kept = np.random.default_rng(seed), {}
    for k in PARTS:
        split = getattr(task, k)
        rows = rng.permutation(len(split))[: max(1, len(split) * limit // total)]
        kept[k] = split.take(np.sort(rows))
    check_splits(task.class_names, kept, task.KIND[:-1])
    remarks = [*task.card.get("remarks", []), f"took at random {limit} of {total}"]
    return replace(task, **kept, card={**task.card, "remarks": remarks})


_UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_budget(budget: str | float) -> float:
    """Return a budget in seconds: "5 min", "90 s", "1 h", or a number of seconds.

    Raises
    ------
    CourseError
        If it is none.
    """
    unit = r"(s|min|h)|(sec|second|minute|hour)s?"
    found = re.fullmatch(rf"([\d.]+)\s*({unit})?", str(budget).strip().lower())
    try:
        seconds = float(found[1]) * _UNITS[(found[2] or "s")[0]] if found else 0.0
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise CourseError(
            f"{budget!r} is no time.", 'Write, for example, "5 min" or "90 s".'
        )
    return seconds


def choose_plan(
    task: ImageTask | TextTask,
    *,
    method: str = "auto",
    source: str = "auto",
    budget: str | float = "5 min",
    size: int | None = None,
) -> Plan:
    """Choose source model, method, size and steps; time small batches for it.

    Parameters
    ----------
    task : ImageTask or TextTask
    method : {"auto", "frozen", "tuned"}
        "auto" asks the decision table.
    source : str
        "auto", or a name that :func:`load_source` knows; of texts "minilm" or
        "bert-base-uncased".
    budget : str or float
        For everything: features, fine-tuning, the control from scratch, evaluation.
    size : int or None
        Side in pixels, or the most pieces of a text; None chooses.

    Raises
    ------
    CourseError
        If method or budget is unknown.
    """
    if method not in ("auto", "frozen", "tuned"):
        raise CourseError(
            f"There is no method {method!r}.", 'Use "auto", "frozen" or "tuned".'
        )
    kind = "images" if isinstance(task, ImageTask) else "texts"
    recipe, limit = RECIPES[kind], PLANNED * parse_budget(budget)
    name = recipe.source if source == "auto" else source
    sizes = [size] if size else _sizes(task, recipe)
    offers = [_offer(task, name, side, recipe, limit) for side in sizes]
    enough = recipe.passes[0] * len(task.train) // recipe.batch_size
    offer = _best(task, name, [o for o in offers if o.steps >= enough] or offers[-1:])
    rule = next(r for r in RULES if r.holds(task.smallest_class, offer.steps))
    chosen, because = rule.method, f"{rule.condition}: {rule.why}"
    if method != "auto":
        chosen, because = method, "your choice"
    training = offer.steps * offer.step
    seconds = {"features and evaluation": offer.once, "control": training}
    if chosen == "tuned":
        seconds["fine-tuning"] = training
    fits = "fits" if sum(seconds.values()) <= limit else "is too slow for"
    tried = " or ".join(str(o.size) for o in offers)
    why = (
        f"source {name}: {recipe.why if source == 'auto' else 'your choice'}",
        f"method {chosen}: {because}",
        f"size {offer.size} (of {tried}), {offer.steps} steps: {fits} {budget}",
    )
    rates = (recipe.batch_size, recipe.lr, recipe.body_factor, recipe.scratch_lr)
    size, steps = offer.size, offer.steps
    return Plan(kind, name, chosen, size, steps, *rates, seconds, why)


def _sizes(task: Task, recipe: Recipe) -> list[int]:
    """Leave out sizes to which the pictures would only be blown up."""
    if not isinstance(task, ImageTask):
        return list(recipe.sizes)
    some = task.train.take(np.random.default_rng(0).permutation(len(task.train))[:50])
    own = float(np.median([min(image.size) for image, _ in some]))
    return [s for s in recipe.sizes if s <= ENLARGED * own] or [recipe.sizes[-1]]


class Offer(NamedTuple):
    """What a size costs: seconds once, seconds per step, the steps that fit."""

    size: int
    once: float
    step: float
    steps: int


def _offer(task: Task, source: str, size: int, recipe: Recipe, limit: float) -> Offer:
    pace = measure_pace(task, source, size, recipe.batch_size)
    n = {k: len(getattr(task, k)) for k in PARTS}
    # Frozen, halfway and tuned are tried on valid; project, frozen one and control
    # are judged on test.
    once = sum(n.values()) * pace.read + 3 * n["test"] * pace.answer
    once += (sum(n.values()) + 3 * n["valid"]) * pace.forward
    step = pace.learn * recipe.batch_size
    most = max(FEW_STEPS, recipe.passes[1] * n["train"] // recipe.batch_size)
    # The control from scratch gets as many steps: each is paid twice.
    return Offer(size, once, step, max(1, min(most, int((limit - once) / (2 * step)))))


def _best(task: Task, source: str, offers: list[Offer]) -> Offer:
    """Return the offer whose frozen features predict best in cross-validation."""
    if len(offers) == 1:
        return offers[0]
    import torch
    from sklearn.model_selection import cross_val_score

    n = min(task.smallest_class, max(3, TRIED // task.n_classes))
    largest = max(o.size for o in offers)
    x, y = task.train.take(task.rows(n)).tensors(largest)
    network = with_new_head(source, "images", task.n_classes).network

    def score(offer: Offer) -> float:
        small = torch.nn.functional.interpolate(
            x.float(), offer.size, mode="bilinear", antialias=True
        )
        features = extract_features(network, small, batch_size=AT_A_TIME)
        head = LogisticRepurposer(C=0.1)
        folds = max(2, min(5, n))
        scoring = "neg_log_loss"
        return cross_val_score(head, features, y, cv=folds, scoring=scoring).mean()

    return max(offers, key=score)


class Pace(NamedTuple):
    """Seconds per example: to read it, for its features, to answer, to learn."""

    read: float
    forward: float
    answer: float
    learn: float


def measure_pace(task: Task, source: str, size: int, batch_size: int) -> Pace:
    """Time what a plan consists of on a few small batches."""
    import torch

    kind = "images" if isinstance(task, ImageTask) else "texts"
    made = with_new_head(source, kind, task.n_classes)
    # Texts are learnt from in batches of similar length, found among eight.
    n = batch_size * (2 if kind == "images" else 8)
    split = task.train.take(np.random.default_rng(0).permutation(len(task.train))[:n])
    since = time.perf_counter()
    examples = [split[i][0] for i in range(len(split))]
    x = encode_examples(examples, kind, size, made.tokenizer)
    read = time.perf_counter() - since
    data = (x, torch.as_tensor(split.labels))
    work = (
        lambda: extract_features(made.network, x, batch_size=AT_A_TIME),
        lambda: answer(made.network, x),
        lambda: fit(made.network, data, epochs=1, lr=1e-9, batch_size=batch_size),
    )
    freeze_batch_norm(made.network)
    times = [read, *map(_seconds, work)]
    return Pace(*(t / len(split) for t in times))


def _seconds(work: Callable[[], Any]) -> float:
    """Time a second call: the first includes what is done only once."""
    work()
    since = time.perf_counter()
    work()
    return time.perf_counter() - since
