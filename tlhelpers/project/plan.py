"""Read data of one's own, look at them, and plan what suits them and the time."""

import json
import re
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from timeit import default_timer, repeat

import numpy as np
import pandas as pd
import torch
from sklearn import linear_model, model_selection, pipeline
from torch.nn.functional import interpolate

from .. import bert, datasets, features, heads, own_data, sources, surgery, training
from ..errors import CourseError
from ..tasks import PARTS, ImageSplit, Task, TextSplit, open_picture
from .keep import AT_A_TIME, SHAPE, WORDS, PictureClassifier, Project, answer

KINDS = {"pictures": "images", "texts": "texts"}
#: By kind: sizes, the best first, and how many times as large as the usual example (its
#: pixels, its words) they may be; steps for each training example, enough and at most,
#: and those that few examples get, however often they come round; what fine-tuning
#: leaves as it is; its rates, and those of the control from scratch.
RECIPES = pd.read_json(Path(__file__).with_name("words") / "recipes.json")
#: Examples for each second of the budget, 10,000 in five minutes; pictures of a folder.
MOST, LARGEST_FOLDER = 33, 25_000
_FREE = linear_model.LogisticRegression(C=0.1, max_iter=2000)
#: Logistic regression on features under one common scale, to be cloned.
LOGISTIC = pipeline.make_pipeline(heads.CommonScaler(), _FREE)
PLANNED = 0.7  # of the budget; the rest is for looking, drawing and surprises


@dataclass
class Plan:
    """What will be done, how long it should take, and why.

    Attributes
    ----------
    kind : {"images", "texts"}
    source : str
        Name of the source model.
    method : {"frozen", "tuned"}
        "frozen": logistic regression on a body that stands still. "tuned": from there
        all learns on but the lowest layers of a BERT, as far as valid finds it better.
    size : int
        Side of the pictures in pixels, or the most pieces of a text.
    steps : int
        Of each fine-tuning (to choose, then with all labels), and of the control.
    seconds : dict, stage -> float
        The estimate, from batches that were timed; "fine-tuning" is both together.
    why : tuple of str
        One reason for each choice.
    left : float
        Seconds of the budget that remain after planning; the trainings stop when they
        are spent.
    """

    kind: str
    source: str
    method: str
    size: int
    steps: int
    seconds: dict[str, float]
    why: tuple[str, ...]
    left: float = np.inf

    def __str__(self) -> str:
        stages = " · ".join(f"{k} {v:.0f} s" for k, v in self.seconds.items())
        return "\n".join([*self.why, stages])


def read_data(
    path: str | Path = "", task: str = "auto", *, profile: str = "mini", seed: int = 0
) -> Task:
    """Read your own data, or data of the course, split before anything else.

    Parameters
    ----------
    path : path
        A folder with one sub-folder per class, or a CSV file (also .csv.gz, .csv.xz)
        with the columns text and label. "" or None takes data of the course. All
        pictures are opened once, of a sub-folder 25,000 at most.
    task : {"auto", "images", "texts"}
        "auto": what the path says; pictures where there is none.
    profile : {"mini", "full"}
        Which data of the course.
    seed : int
        Seed of the split.

    Returns
    -------
    ImageTask or TextTask

    Raises
    ------
    CourseError
        If the task is unknown or does not fit the path, or the data cannot be used:
        sizes and C are chosen by cross-validation: each class needs two to learn from.
    """
    pictures = Path(path).expanduser().is_dir() if path else task != "texts"
    if task not in ("auto", "images" if pictures else "texts"):
        problem = f"The task {task!r} does not fit the data {path or 'of the course'}."
        raise CourseError(problem, "Pictures come in a folder, texts in a CSV file.")
    load = datasets.load_flowers if pictures else datasets.load_reviews
    read = own_data.from_folder if pictures else own_data.from_csv
    more = {"limit": LARGEST_FOLDER} if pictures else {}
    return read(path, seed=seed, **more).need(2) if path else load(profile, seed=seed)


def cut_to_budget(task: Task, budget: str | float, *, seed: int = 0) -> Task:
    """Take some examples at random if there are more than the time allows.

    Parameters
    ----------
    task : ImageTask or TextTask
    budget : str, or a number of seconds
        For 33 examples a second: 10,000 in five minutes.
    seed : int

    Returns
    -------
    ImageTask or TextTask
        With the same share of each class in train, valid and test, two at least.

    Raises
    ------
    CourseError
        If the budget is none.
    """
    rng, parts = np.random.default_rng(seed), dict(zip(PARTS, splits(task)))
    share = MOST * parse_budget(budget) / sum(map(len, parts.values()))
    for part, split in parts.items():
        drawn = pd.Series(rng.random(len(split))).groupby(split.labels)
        kept = drawn.rank() <= np.maximum(2, drawn.transform("size") * share)
        parts[part] = split.take(np.flatnonzero(kept))
    said = [*task.card.get("remarks", ()), f"took {share:.0%}, as the budget allows"]
    card = task.card | {"remarks": said}
    return replace(task, card=card, **parts) if share < 1 else task


def splits(task: Task) -> list[ImageSplit | TextSplit]:
    """Return train, valid and test, in this order.

    Parameters
    ----------
    task : ImageTask or TextTask
    """
    return [getattr(task, part) for part in PARTS]


def drop_leaks(task: Task, pairs: pd.DataFrame) -> Task:
    """Take out of train and valid what has a near-duplicate in a later split.

    Test stays as it is, so that scores before and after can be compared.

    Parameters
    ----------
    task : ImageTask or TextTask
    pairs : DataFrame
        What :func:`near_duplicates` found in this task.

    Returns
    -------
    ImageTask or TextTask

    Raises
    ------
    CourseError
        If a class has fewer than two examples left in train, or none in valid.
    """
    # The splits of a pair stand in the order train, valid, test.
    across = pairs[pairs["split"] != pairs["other split"]]
    for part, leaks in across.groupby("split")["row"]:
        rows = np.delete(np.arange(len(getattr(task, part))), leaks)
        task = replace(task, **{part: getattr(task, part).take(rows)})
    return task.need(2, why="Near-duplicates were dropped: this needs")


def count_classes(task: Task) -> pd.DataFrame:
    """Count the examples of each class in each split.

    Parameters
    ----------
    task : ImageTask or TextTask

    Returns
    -------
    DataFrame, one row per class, columns "train", "valid" and "test"
    """
    counts = [np.bincount(s.labels, minlength=task.n_classes) for s in splits(task)]
    return pd.DataFrame(dict(zip(PARTS, counts)), index=list(task.class_names))


def inspect_data(task: Task, pairs: pd.DataFrame) -> pd.DataFrame:
    """Say what is unusual about the data, and what to do about it.

    Parameters
    ----------
    task : ImageTask or TextTask
    pairs : DataFrame
        What :func:`near_duplicates` found.

    Returns
    -------
    DataFrame, one row per finding, columns "found" and "so"
    """
    facts = {"task": task, "pairs": pairs, "lengths": [*map(_extents, splits(task))]}
    text = WORDS.get_template("findings.txt").render(facts, counts=count_classes(task))
    rows = [row.rsplit(" | ", 1) for row in text.splitlines()]
    return pd.DataFrame(rows, columns=["found", "so"])


def _extents(split: ImageSplit | TextSplit) -> list[int]:
    """Count the words of each text, or the pixels along each picture's shorter side."""
    if isinstance(split, TextSplit):
        return [len(text.split()) for text in split.texts]
    return [min(open_picture(path).size) for path in split.paths]


def decision_table() -> pd.DataFrame:
    """Return the rules by which :func:`choose_plan` decides, in their order.

    Returns
    -------
    DataFrame with the columns "if there are", "take" and "because it"
    """
    return pd.read_csv(Path(__file__).with_name("words") / "decisions.csv")


def parse_budget(budget: str | float) -> float:
    """Return a budget in seconds.

    Parameters
    ----------
    budget : str or float
        "5 min", "90 s", "1 h 30 min", or a number of seconds, > 0.

    Raises
    ------
    CourseError
        If it is none.
    """
    # pandas knows minutes, but no mins; it reads 1,5 as 15, and 1.2.3 as 1.23. A
    # number alone means seconds.
    text = re.sub(r"(?<=[a-z])s\b", "", str(budget).strip().lower())
    text = re.sub(r"^[\d.]+$", r"\g<0> s", text)
    seconds = pd.to_timedelta(text, errors="coerce").total_seconds()
    if not seconds > 0 or re.search(r",|\.\d*\.", text):
        raise CourseError(f"{budget!r} is no time span.", 'Write "1.5 min" or "90 s".')
    return seconds


def choose_plan(task: Task, *, method: str = "auto", budget: str = "5 min") -> Plan:
    """Choose source model, method, size and steps; time small batches for it.

    Parameters
    ----------
    task : ImageTask or TextTask
    method : {"auto", "frozen", "tuned"}
        "auto" asks the decision table.
    budget : str, or a number of seconds
        For everything: planning, features, fine-tuning, the control from scratch,
        evaluation.

    Returns
    -------
    Plan

    Raises
    ------
    CourseError
        If method or budget is unknown.
    """
    if method not in ("auto", "frozen", "tuned"):
        raise CourseError(f"There is no method {method!r}.", "Use auto, frozen, tuned.")
    now, kind, limit = default_timer(), KINDS[task.KIND], PLANNED * parse_budget(budget)
    table = decision_table().set_index("if there are")
    (source, known), rules = table.loc[task.KIND], table.drop([*KINDS]).itertuples()
    # Fine-tuning comes twice, and the control gets as many steps: each is paid thrice.
    few = task.smallest_class < 10
    times = 3 if method == "tuned" or (method == "auto" and not few) else 1
    plans, least = [], max(20, int(RECIPES[kind]["steps"][0] * len(task.train)))
    for size in _sizes(task, source)[::-1]:  # larger ones only while there is time
        if not plans or (plans[0].steps >= least and default_timer() < now + limit / 8):
            plans.insert(0, _draft(task, source, size, limit, times))
    fast = [p for p in plans if p.steps >= least] or plans[-1:]
    plan = _best(task, fast) if fast[1:] else fast[0]
    # The conditions of decisions.csv, in their order.
    told = ("your choice", f"method {method}", "you asked for it"), *rules
    met, take, because = told[(method != "auto", few, plan.steps < 20, True).index(1)]
    if take.endswith("tuned"):
        plan.seconds["fine-tuning"] = 2 * plan.seconds["control"]
    fits = "fits" if sum(plan.seconds.values()) <= limit else "is too slow for"
    tried = " or ".join(str(p.size) for p in plans)
    size = f"size {plan.size} (of {tried}), {plan.steps} steps: {fits} {budget}"
    plan.why = (f"{source}: {known}", f"{take}: {met}: {because}", size)
    plan.method, plan.left = take.split()[1], limit / PLANNED + now - default_timer()
    return plan


def _sizes(task: Task, source: str) -> list[int]:
    """Leave out sizes that add nothing but time: larger than the examples are.

    A transformer of timm takes one size only: it has a vector for each place.
    """
    if (cfg := sources.timm.get_pretrained_cfg(source[7:])) and cfg.fixed_input_size:
        return [cfg.input_size[-1]]
    sizes, enlarged = RECIPES[KINDS[task.KIND]][["sizes", "enlarged"]]
    some = task.train.take(np.random.default_rng(0).permutation(len(task.train))[:50])
    return [s for s in sizes if s <= enlarged * np.median(_extents(some))] or sizes[-1:]


def _draft(task: Task, source: str, size: int, limit: float, times: int) -> Plan:
    """Plan as many steps at this size as fit the limit, in seconds, so many times."""
    plan = Plan(KINDS[task.KIND], source.split()[1], "frozen", size, 0, {}, ())
    recipe, pace = RECIPES[plan.kind], measure_pace(task, plan)
    train, valid, test = map(len, splits(task))
    # Frozen, halfway and tuned are tried on valid, two of them twice; project and
    # control are judged on test.
    once = (train + valid + test) * (pace["read"] + pace["forward"])
    once += (5 * valid + 2 * test) * pace["answer"]
    step = pace["learn"] * recipe["tuned"]["batch_size"]
    most = max(recipe["steps"][2], int(recipe["steps"][1] * train))
    steps = max(1, min(most, int((limit - once) / (times * step))))
    seconds = {"features and evaluation": once, "control": steps * step}
    return replace(plan, steps=steps, seconds=seconds)


def _best(task: Task, drafts: list[Plan]) -> Plan:
    """Return the draft whose frozen features predict best in cross-validation."""
    # About three hundred examples are enough to compare sizes on.
    n = min(task.smallest_class, max(3, 300 // task.n_classes))
    some, texts = task.train.take(task.rows(n)), task.KIND == "texts"
    x = None if texts else some.tensors(max(d.size for d in drafts))[0].float()
    options = {"cv": max(2, min(5, n)), "scoring": "neg_log_loss", "y": some.labels}

    def score(draft: Plan) -> float:
        made, how = new_project(task, draft), {"mode": "bilinear", "antialias": True}
        z = made.encode(some.texts) if texts else interpolate(x, draft.size, **how)
        z = features.extract_features(made.network, z, batch_size=AT_A_TIME)
        return model_selection.cross_val_score(LOGISTIC, z, **options).mean()

    return max(drafts, key=score)


def measure_pace(task: Task, plan: Plan) -> dict[str, float]:
    """Time what a plan consists of on a few small batches.

    Parameters
    ----------
    task : ImageTask or TextTask
    plan : Plan
        Its kind, source and size count.

    Returns
    -------
    dict
        Seconds per example to "read" it, to go "forward" to its features, to "answer"
        and to "learn".
    """
    project, recipe = new_project(task, plan), RECIPES[plan.kind]["tuned"]
    network = surgery.freeze_batch_norm(project.network)
    # Texts are learnt from in batches of similar length; of long ones one will do.
    n = recipe["batch_size"] * (2 if plan.kind == "images" else 512 // plan.size)
    some = task.train.take(np.random.default_rng(0).permutation(len(task.train))[:n])
    x = project.encode([example for example, _ in some])
    data, rates = (x, torch.as_tensor(some.labels)), {**recipe, "lr": 1e-9}
    work = {
        "read": lambda: project.encode([example for example, _ in some]),
        "forward": lambda: features.extract_features(network, x, batch_size=AT_A_TIME),
        "answer": lambda: answer(network, x),
        "learn": lambda: training.fit(network, data, epochs=1, **rates),
    }
    # The second call counts: the first includes what is done only once.
    return {k: repeat(w, repeat=2, number=1)[1] / len(some) for k, w in work.items()}


def new_project(
    task: Task, plan: Plan, *, pretrained: bool = True, seed: int = 0
) -> Project:
    """Make a project whose head knows nothing yet: the source's body, a random head.

    Parameters
    ----------
    task : ImageTask or TextTask
    plan : Plan
    pretrained : bool
        False: the body knows nothing, either.
    seed : int
        Seed of whatever is random.

    Returns
    -------
    Project
        Its card says where everything comes from; its figures are empty.
    """
    torch.manual_seed(seed)
    start, n = {"pretrained": pretrained, "seed": seed}, task.n_classes
    if plan.kind == "images":
        base = sources.load_source(plan.source, **start)
        network, how = PictureClassifier(base, n), {"arch": base.arch}
    else:
        base = bert.load_bert("full" if plan.source == bert.BASE else "mini", **start)
        base.body.config.pooled_layers = 4  # frozen, they tell more than the last
        network = bert.BertClassifier(base.body, n, seed=seed)
        surgery.freeze(network, RECIPES["texts"]["frozen"] if pretrained else [])
        how = dict(arch="bert", config={k: getattr(base.body.config, k) for k in SHAPE})
    facts = {"task": task, "plan": plan, "source": base.card, "network": how}
    facts |= {"recipe": RECIPES[plan.kind], "version": version}
    card = WORDS.get_template("card.json").render(facts, now=pd.Timestamp.now())
    rest = (network, 1.0, json.loads(card), getattr(base, "tokenizer", None))
    return Project(task.name, plan.kind, task.class_names, *rest)
