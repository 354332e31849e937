"""Build a project by its plan: frozen, tuned, the control from scratch; judge it."""

from collections import namedtuple
from collections.abc import Iterator
from copy import deepcopy
from timeit import default_timer

import numpy as np
import torch
from scipy.stats import binomtest, ttest_rel
from sklearn import metrics, model_selection, pipeline

from .. import features, surgery, tasks, training, uncertainty
from .keep import AT_A_TIME, TOKENIZER, WEIGHTS, Project, answer, scale_head
from .plan import LOGISTIC, RECIPES, Plan, new_project, splits

FREEDOM = {"logisticregression__C": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]}
LOSS = "held-out negative log-likelihood"


#: One split, or train and valid together: x, see :meth:`Project.encode`; y, shape (n,),
#: int64; features, shape (n, n_features), float32: what the frozen body says about x;
#: seconds: what the budget spends on all features, and on judging.
Inputs = namedtuple("Inputs", "x y features seconds", defaults=(0.0,))


def read_inputs(task: tasks.Task, plan: Plan) -> dict[str, Inputs]:
    """Read train, valid and test, and compute their features once and for all.

    Parameters
    ----------
    task : ImageTask or TextTask
    plan : Plan

    Returns
    -------
    dict, split -> Inputs
        And "labelled": train, then valid. All are views of one tensor, so the pictures
        lie in memory once; who replaces one of them replaces "labelled", too.
    """
    since, parts = default_timer(), splits(task)
    project, texts = new_project(task, plan), plan.kind == "texts"
    project.describe({WEIGHTS: "", TOKENIZER: ""})  # or refuse it before it is trained
    examples, labels = zip(*(vars(split).values() for split in parts))
    whole = type(parts[0])(sum(examples, ()), np.concatenate(labels))
    x = project.encode(whole.texts) if texts else whole.tensors(plan.size)[0]
    found = features.extract_features(project.network, x, batch_size=AT_A_TIME)
    a, b, _ = np.cumsum([*map(len, parts)])
    rows = dict(zip(tasks.PARTS, (slice(a), slice(a, b), slice(b, None))))
    y, rows["labelled"] = torch.as_tensor(whole.labels), slice(b)
    # To judge will take about as long as this did; the rest is for the trainings.
    spent = 2 * (default_timer() - since)
    return {k: Inputs(x[s], y[s], found[s], spent) for k, s in rows.items()}


def repurpose(task: tasks.Task, plan: Plan, inputs: dict, *, seed: int = 0) -> Project:
    """Put logistic regression on the frozen body, as one network.

    How free its weights are is chosen by cross-validation inside train.

    Parameters
    ----------
    task : ImageTask or TextTask
    plan : Plan
    inputs : dict, split -> Inputs
        What :func:`read_inputs` gives.
    seed : int
        Seed of what the project starts with.

    Returns
    -------
    Project
        Calibrated on valid.
    """
    project, train = new_project(task, plan, seed=seed), inputs["train"]
    _put(fit_head(train.features, train.y.numpy()), project)
    project.card["method"]["kept"] = "frozen"
    return _calibrate(project, inputs["valid"])


def fit_head(x: np.ndarray, y: np.ndarray) -> pipeline.Pipeline:
    """Fit logistic regression; cross-validation chooses how free its weights are.

    Parameters
    ----------
    x : ndarray, shape (n, n_features), float32
        Features.
    y : ndarray, shape (n,), int

    Returns
    -------
    Pipeline
        CommonScaler and LogisticRegression.
    """
    options = {"scoring": "neg_log_loss", "cv": min(5, max(2, np.bincount(y).min()))}
    search = model_selection.GridSearchCV(LOGISTIC, FREEDOM, **options)
    return search.fit(x, y).best_estimator_


def _put(head: pipeline.Pipeline, project: Project) -> None:
    """Copy a classifier into the head; its scaling becomes part of the weights."""
    linear = surgery.without_scaling(head[1], head[0].mean_, head[0].scale_)
    surgery.replace_head(project.network, len(project.class_names), like=linear)


def _calibrate(project: Project, valid: Inputs) -> Project:
    """Choose the temperature on valid; sharpen only where mistakes say how far."""
    p, y = answer(project.network, valid.x).softmax(dim=1).numpy(), valid.y.numpy()
    # With fewer mistakes nothing would stop the fit from claiming certainty.
    floor = 1.0 if sum(p.argmax(axis=1) != y) < 5 else 0.0
    project.temperature = max(uncertainty.fit_temperature(p, y), floor)
    p = uncertainty.apply_temperature(p, project.temperature)
    project.card["figures"][LOSS] = metrics.log_loss(y, p, labels=range(p.shape[1]))
    # About the least certain tenth the page will say that it is not sure.
    project.card["certain"] = float(np.quantile(p.max(axis=1), 0.1))
    return project


def train_project(
    plan: Plan, inputs: dict, frozen: Project, *, seed: int = 0
) -> tuple[Project, Project]:
    """Train by the plan, choose on valid, then learn the choice from both parts.

    Frozen comes first, then the layers are tuned. The weights at the start, at the end
    and halfway between are judged on valid; the middle is often better than both. The
    frozen one stays where the best of the others gains less than its standard error.
    What was chosen is learnt once more, from train and valid; its temperature stays as
    valid gave it. The test part is not looked at.

    Parameters
    ----------
    plan : Plan
    inputs : dict, split -> Inputs
        What :func:`read_inputs` gives.
    frozen : Project
        What :func:`repurpose` gives; left as it is.
    seed : int
        Seed of order, augmentation and dropout.

    Returns
    -------
    chosen : Project
        It has learnt from train alone. Its card says under "method" what was kept.
    project : Project
        The same, with the labels of valid, too: only test is left to judge it with.

    Source
    ------
    Kumar et al. 2022 (the start); Wortsman et al. 2022, Robust Fine-Tuning of
    Zero-Shot Models (the middle); Guo et al. 2017 (the temperature).
    """
    ways = _tune(frozen, inputs["train"], plan, seed) if plan.method == "tuned" else ()
    tried = [_calibrate(way, inputs["valid"]) for way in ways]
    best = min([frozen, *tried], key=lambda made: made.card["figures"][LOSS])
    best = best if _surely_better(best, frozen, inputs["valid"]) else frozen
    project, both = deepcopy(frozen), inputs["labelled"]
    _put(fit_head(both.features, both.y.numpy()), project)
    if (kept := best.card["method"]["kept"]) != "frozen":
        ways = _tune(project, both, plan, seed)
        project = next(way for way in ways if way.card["method"]["kept"] == kept)
    project.temperature = best.temperature
    project.card |= deepcopy({k: best.card[k] for k in ("figures", "certain")})
    project.card["method"]["labels"] = "train and valid; held-out figure: before valid"
    return best, project


def _tune(start: Project, data: Inputs, plan: Plan, seed: int) -> Iterator[Project]:
    """Train what is not frozen; give the network halfway and at the end."""
    first, tuned = surgery.snapshot(start.network.cpu()), deepcopy(start)
    # A head that is certain of its examples leaves nothing to learn.
    scale_head(surgery.freeze_batch_norm(tuned.network), 0.2)
    last = surgery.snapshot(_train(tuned, data, plan, seed, "tuned").network.cpu())
    for kept, share in (("halfway", 0.5), ("tuned", 1.0)):
        # Counters are whole numbers, and made so again when they are loaded.
        way = {k: v.float().lerp(last[k].float(), share) for k, v in first.items()}
        tuned.network.load_state_dict(way)
        tuned.card["method"]["kept"] = kept
        yield deepcopy(tuned)


def _surely_better(project: Project, other: Project, valid: Inputs) -> bool:
    """Tell whether the gain on valid exceeds its standard error (Breiman 1984)."""
    x, y = valid.x, valid.y.numpy()
    said = [made.probabilities(x)[range(len(y)), y] for made in (project, other)]
    # No gain at all: 0 / 0, which is above nothing.
    return bool(ttest_rel(*np.log(np.clip(said, 1e-12, 1))).statistic > 1)


def train_from_scratch(
    task: tasks.Task, plan: Plan, inputs: dict, *, seed: int = 0
) -> Project:
    """Train the control: the same network, labels, steps; random weights at the start.

    Parameters
    ----------
    task : ImageTask or TextTask
    plan : Plan
    inputs : dict, split -> Inputs
        What :func:`read_inputs` gives.
    seed : int
        Seed of weights, order, augmentation and dropout.

    Returns
    -------
    Project
        It has learnt from train and valid, and is not calibrated.
    """
    project = new_project(task, plan, pretrained=False, seed=seed)
    return _train(project, inputs["labelled"], plan, seed, "scratch")


def _train(made: Project, data: Inputs, plan: Plan, seed: int, recipe: str) -> Project:
    """Take the plan's steps: several passes, or one over a part of the examples.

    When the budget is spent, the training stops there and says so.
    """
    (x, y, _, spent), rates = data, RECIPES[plan.kind][recipe]
    most = plan.steps * rates["batch_size"]
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:most]
    torch.manual_seed(seed)  # of augmentation and dropout
    options = {**rates, "epochs": max(1, round(most / len(x))), "seed": seed}
    # Fine-tuning, twice, and the control share what is left.
    end = default_timer() + (plan.left - spent) / (3 if plan.method == "tuned" else 1)

    def prepare(part: torch.Tensor) -> torch.Tensor:
        if default_timer() > end:
            raise TimeoutError
        # Of pictures the numbers of their rows come, so that they are not copied.
        return training.augment(x[part.cpu()].to(part.device)) if x.ndim > 2 else part

    try:
        given = rows if x.ndim > 2 else x[rows]
        training.fit(made.network, (given, y[rows]), transform=prepare, **options)
    except TimeoutError:
        made.card["method"]["stopped"] = "early: the budget was spent"
        print(f"The training ({recipe}) stopped early: the budget is spent.")
    return made


def judge(p: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Judge probabilities on examples that nobody tuned on.

    Parameters
    ----------
    p : ndarray, shape (n, n_classes), 0 … 1
    y : ndarray, shape (n,), int, 0 … n_classes - 1

    Returns
    -------
    dict
        "examples", "accuracy", its 95 % interval "low" and "high" (Wilson 1927),
        "balanced accuracy" (mean recall), "negative log-likelihood" and "ECE".
    """
    p, guess = p / p.sum(axis=1, keepdims=True, dtype=float), p.argmax(axis=1)
    right = binomtest(int(sum(guess == y)), len(y))
    low, high = map(float, right.proportion_ci(method="wilson"))
    known = {"examples": len(y), "accuracy": right.statistic, "low": low, "high": high}
    known["balanced accuracy"] = float(metrics.balanced_accuracy_score(y, guess))
    known["negative log-likelihood"] = metrics.log_loss(y, p, labels=range(p.shape[1]))
    return {**known, "ECE": uncertainty.ece(p, y)}
