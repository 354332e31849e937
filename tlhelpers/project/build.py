"""Build a project by its plan: frozen, tuned, the control from scratch; judge it."""

from __future__ import annotations

import platform
from copy import deepcopy
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CourseError
from ..features import extract_features
from ..machine import seed_everything
from ..surgery import (
    freeze_batch_norm,
    get_layer,
    head_name,
    replace_head,
    snapshot,
    without_scaling,
)
from ..tasks import PARTS, ImageTask, Task, TextTask
from ..training import augment, fit, predict_proba
from ..uncertainty import apply_temperature, ece, fit_temperature, nll
from .keep import AT_A_TIME, Project, encode_examples, with_new_head
from .plan import Plan

QUIET = 0.2
FEWEST_MISTAKES = 5  # before the temperature may sharpen
UNSURE = 0.1  # the least certain tenth: "I am not sure"


class Inputs(NamedTuple):
    """One split as the network takes it, and what the frozen body says about it.

    Attributes
    ----------
    x : Tensor
        See :meth:`Project.encode`.
    y : Tensor, shape (n,), int64
    features : ndarray, shape (n, n_features), float32
    """

    x: Tensor
    y: Tensor
    features: np.ndarray


def read_inputs(task: ImageTask | TextTask, plan: Plan) -> dict[str, Inputs]:
    """Read train, valid and test, and compute their features once and for all.

    Returns
    -------
    dict, split -> Inputs
    """
    made = with_new_head(plan.source, plan.kind, task.n_classes)
    inputs = {}
    for part in PARTS:
        split = getattr(task, part)
        if plan.kind == "images":
            x, y = split.tensors(plan.size)
        else:
            x = encode_examples(split.texts, plan.kind, plan.size, made.tokenizer)
            y = torch.as_tensor(split.labels)
        features = extract_features(made.network, x, batch_size=AT_A_TIME)
        inputs[part] = Inputs(x, y, features)
    return inputs


def new_project(
    task: ImageTask | TextTask, plan: Plan, *, pretrained: bool = True, seed: int = 0
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
    """
    seed_everything(seed)
    made = with_new_head(
        plan.source, plan.kind, task.n_classes, pretrained=pretrained, seed=seed
    )
    card = {
        "data": _describe(task),
        "source": {k: v for k, v in made.card.items() if isinstance(v, (str, int))},
        "method": {"method": plan.method, "size": plan.size, "why": list(plan.why)},
        "figures": {},
        "versions": _versions(),
        "date": date.today().isoformat(),
        "network": {**made.how, "size": plan.size},
    }
    names = task.class_names
    return Project(task.name, plan.kind, names, made.network, 1.0, card, made.tokenizer)


def _describe(task: Task) -> dict[str, Any]:
    counts = {k: len(getattr(task, k)) for k in PARTS}
    about = {k: task.card[k] for k in ("title", "origin", "licence") if k in task.card}
    remarks = [str(r) for r in task.card.get("remarks", [])]
    return {**about, **counts, "classes": list(task.class_names), "remarks": remarks}


def _versions() -> dict[str, str]:
    packages = ("tlhelpers", "torch", "timm", "transformers", "scikit-learn")
    return {"python": platform.python_version(), **{p: version(p) for p in packages}}


def repurpose(
    task: ImageTask | TextTask, plan: Plan, inputs: dict[str, Inputs], *, seed: int = 0
) -> Project:
    """Put logistic regression on the frozen body, as one network.

    How free its weights are is chosen by cross-validation inside train.

    Returns
    -------
    Project
        Calibrated on valid.
    """
    project = new_project(task, plan, seed=seed)
    head = fit_head(inputs["train"].features, inputs["train"].y.numpy(), seed=seed)
    replace_head(project.network, task.n_classes, like=head)
    project.card["method"]["kept"] = "frozen"
    return _calibrate(project, inputs["valid"])


def fit_head(features: np.ndarray, y: np.ndarray, *, seed: int = 0) -> Any:
    """Fit logistic regression; cross-validation chooses how free its weights are.

    Parameters
    ----------
    features : ndarray, shape (n, n_features), float32
    y : ndarray, shape (n,), int

    Returns
    -------
    LogisticRegression
        For features as they are: centring and scaling are part of its coefficients.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]},
        scoring="neg_log_loss",
        cv=_folds(y, seed),
    )
    scaled, center, scale = _standardize(features)
    search.fit(scaled, y)
    return without_scaling(search.best_estimator_, center, scale)


def _standardize(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Centre each feature, scale all alike; return center and scale, too."""
    center = features.mean(axis=0)
    scale = float(np.sqrt(features.var(axis=0).mean())) or 1.0
    return (features - center) / scale, center, scale


def _folds(y: np.ndarray, seed: int) -> Any:
    from sklearn.model_selection import StratifiedKFold

    n_folds = int(np.clip(np.bincount(y).min(), 2, 5))
    return StratifiedKFold(n_folds, shuffle=True, random_state=seed)


def _calibrate(project: Project, valid: Inputs) -> Project:
    """Choose the temperature on valid."""
    p = predict_proba(project.network, valid.x, batch_size=AT_A_TIME)
    return _set_temperature(project, p, valid.y.numpy())


def _set_temperature(project: Project, p: np.ndarray, y: np.ndarray) -> Project:
    """Let certainty agree with accuracy; sharpen only where mistakes say how far."""
    mistakes = int((p.argmax(axis=1) != y).sum())
    # Without mistakes nothing would stop the fit from claiming certainty.
    floor = 1.0 if mistakes < FEWEST_MISTAKES else 0.0
    project.temperature = max(fit_temperature(p, y), floor)
    p = apply_temperature(p, project.temperature)
    project.card["figures"]["held-out negative log-likelihood"] = nll(p, y)
    project.card["certain"] = float(np.quantile(p.max(axis=1), UNSURE))
    return project


def train_project(
    task: ImageTask | TextTask,
    plan: Plan,
    *,
    inputs: dict[str, Inputs] | None = None,
    start: Project | None = None,
    seed: int = 0,
) -> Project:
    """Train by the plan: frozen first, then tuned, then the best of the way between.

    The weights at the start, at the end and halfway between are judged on valid; the
    middle is often better than both. The frozen one stays where the best of the others
    gains less than its standard error; then nothing is left to choose, and its head is
    fitted once more, on train and valid. The test part is not looked at.

    Parameters
    ----------
    task : ImageTask or TextTask
    plan : Plan
    inputs : dict or None
        What :func:`read_inputs` gives; None reads.
    start : Project or None
        What :func:`repurpose` gives, left as it is; None makes it.
    seed : int
        Seed of order, augmentation and dropout.

    Source
    ------
    Kumar et al. 2022 (the start); Wortsman et al. 2022, Robust Fine-Tuning of
    Zero-Shot Models (the middle); Guo et al. 2017 (the temperature).
    """
    inputs = inputs or read_inputs(task, plan)
    best = start or repurpose(task, plan, inputs, seed=seed)
    frozen = best
    if plan.method == "frozen":
        return _refit(frozen, inputs, seed)
    first = snapshot(best.network.cpu())
    network = freeze_batch_norm(deepcopy(best.network))
    _quieten(network)
    _train(network, inputs["train"], plan, plan.lr, plan.body_factor, seed)
    last = snapshot(network.cpu())
    for kept, share in (("halfway", 0.5), ("tuned", 1.0)):
        network.load_state_dict(_blend(first, last, share))
        rival = replace(best, network=network, card=deepcopy(best.card))
        rival.card["method"]["kept"] = kept
        _calibrate(rival, inputs["valid"])
        if _surprise(rival) < _surprise(best):
            best = replace(rival, network=deepcopy(network))
    if _surely_better(best, frozen, inputs["valid"]):
        return best
    return _refit(frozen, inputs, seed)


def _refit(frozen: Project, inputs: dict[str, Inputs], seed: int) -> Project:
    """Fit a new head on train and valid; cross-validation gives the temperature."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    parts = [inputs[k] for k in ("train", "valid")]
    features = np.concatenate([part.features for part in parts])
    y = np.concatenate([part.y.numpy() for part in parts])
    head = fit_head(features, y, seed=seed)
    p = cross_val_predict(
        LogisticRegression(C=head.C, max_iter=1000),
        _standardize(features)[0],
        y,
        cv=_folds(y, seed),
        method="predict_proba",
    )
    network = replace_head(deepcopy(frozen.network), len(frozen.class_names), like=head)
    project = replace(frozen, network=network, card=deepcopy(frozen.card))
    project.card["method"]["head"] = "fitted on train and valid"
    return _set_temperature(project, p, y)


def _surely_better(project: Project, other: Project, valid: Inputs) -> bool:
    """Tell whether the gain on valid exceeds its standard error (Breiman 1984)."""
    x, y = valid.x, valid.y.numpy()
    chances = [made.probabilities(x)[range(len(y)), y] for made in (project, other)]
    gain = np.diff(np.log(np.clip(chances[::-1], 1e-12, 1)), axis=0)[0]
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(y)))


def _quieten(network: nn.Module) -> None:
    """Shrink the head: one that is certain of its examples leaves nothing to learn."""
    head = get_layer(network, head_name(network))
    with torch.no_grad():
        head.weight *= QUIET
        head.bias *= QUIET


def _surprise(project: Project) -> float:
    return project.card["figures"]["held-out negative log-likelihood"]


def _blend(
    first: dict[str, Tensor], last: dict[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Go a share of the way from the first weights to the last."""
    return {
        k: torch.lerp(v, last[k], share) if v.is_floating_point() else last[k]
        for k, v in first.items()
    }


def train_from_scratch(
    task: ImageTask | TextTask, plan: Plan, inputs: dict[str, Inputs], *, seed: int = 0
) -> Project:
    """Train the control: the same network and steps, random weights at the start."""
    project = new_project(task, plan, pretrained=False, seed=seed)
    _train(project.network, inputs["train"], plan, plan.scratch_lr, 1.0, seed)
    project.card["method"]["kept"] = "from scratch"
    return _calibrate(project, inputs["valid"])


def _train(
    network: nn.Module,
    data: Inputs,
    plan: Plan,
    lr: float,
    body_factor: float,
    seed: int,
) -> None:
    """Take the plan's steps: several passes, or one over a part of the examples."""
    x, y, wanted = data.x, data.y, plan.steps * plan.batch_size
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    rows = rows[:wanted]
    seed_everything(seed)  # of augmentation and dropout
    fit(
        network,
        (x[rows], y[rows]),
        epochs=max(1, wanted // len(x)),
        lr=lr,
        body_factor=body_factor,
        batch_size=plan.batch_size,
        transform=augment if plan.kind == "images" else None,
        seed=seed,
    )


def interval(k: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share: k right answers out of n.

    Parameters
    ----------
    k, n : int
        0 <= k <= n, n >= 1.

    Returns
    -------
    low, high : float, 0 … 1

    Raises
    ------
    CourseError
        If there is no example, or k is not a number of them.

    Source
    ------
    Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if not 0 <= k <= n or n < 1:
        raise CourseError(
            f"{k} right out of {n} is not possible.", "Give 0 <= k <= n, n >= 1."
        )
    z = 1.959964
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * (k * (n - k) / n + z * z / 4) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def judge(p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Judge probabilities on examples that nobody tuned on.

    Parameters
    ----------
    p : ndarray, shape (n, n_classes)
    y : ndarray, shape (n,), int

    Returns
    -------
    dict
        "examples", "accuracy", its 95 % interval "low" and "high", "balanced accuracy"
        (mean recall), "negative log-likelihood" and "ECE".
    """
    from sklearn.metrics import balanced_accuracy_score

    guess = p.argmax(axis=1)
    low, high = interval(int((guess == y).sum()), len(y))
    return {
        "examples": len(y),
        "accuracy": float((guess == y).mean()),
        "low": low,
        "high": high,
        "balanced accuracy": float(balanced_accuracy_score(y, guess)),
        "negative log-likelihood": nll(p, y),
        "ECE": ece(p, y),
    }
