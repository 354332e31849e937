"""Build a project by its plan: frozen, tuned, the control from scratch; judge it."""

from collections import namedtuple
from copy import deepcopy
from timeit import default_timer

import numpy as np
import torch
from scipy.stats import binomtest, ttest_rel
from sklearn import metrics, model_selection, pipeline

from .. import features, surgery, tasks, training, uncertainty
from .keep import AT_A_TIME, TOKENIZER, WEIGHTS, Project, scale_head
from .plan import RECIPES, Plan, logistic, new_project, splits

FREEDOM = {"logisticregression__C": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]}
LOSS = "held-out negative log-likelihood"


#: One split: x as the network takes it, see :meth:`Project.encode`; y, shape (n,),
#: int64; features, shape (n, n_features), float32: what the frozen body says about x;
#: seconds, of train: what the budget spends on all features, and on judging.
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
    """
    since = default_timer()
    project, inputs, texts = new_project(task, plan), {}, plan.kind == "texts"
    project.describe({WEIGHTS: "", TOKENIZER: ""})  # or refuse it before it is trained
    for part, split in zip(tasks.PARTS, splits(task)):
        x = project.encode(split.texts) if texts else split.tensors(plan.size)[0]
        found = features.extract_features(project.network, x, batch_size=AT_A_TIME)
        inputs[part] = Inputs(x, torch.as_tensor(split.labels), found)
    # To judge will take about as long as this did; the rest is for the trainings.
    inputs["train"] = inputs["train"]._replace(seconds=2 * (default_timer() - since))
    return inputs


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
        Seed of the folds.

    Returns
    -------
    Project
        Calibrated on valid.
    """
    project, train = new_project(task, plan, seed=seed), inputs["train"]
    _put(fit_head(train.features, train.y.numpy(), seed=seed), project)
    project.card["method"]["kept"] = "frozen"
    return _calibrate(project, inputs["valid"])


def fit_head(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> pipeline.Pipeline:
    """Fit logistic regression; cross-validation chooses how free its weights are.

    Parameters
    ----------
    x : ndarray, shape (n, n_features), float32
        Features.
    y : ndarray, shape (n,), int
    seed : int
        Seed of the folds.

    Returns
    -------
    Pipeline
        CommonScaler and LogisticRegression.
    """
    options = {"scoring": "neg_log_loss", "cv": _folds(y, seed)}
    search = model_selection.GridSearchCV(logistic(), FREEDOM, **options)
    return search.fit(x, y).best_estimator_


def _folds(y: np.ndarray, seed: int) -> model_selection.StratifiedKFold:
    n = int(np.clip(np.bincount(y).min(), 2, 5))
    return model_selection.StratifiedKFold(n, shuffle=True, random_state=seed)


def _put(head: pipeline.Pipeline, project: Project) -> None:
    """Copy a classifier into the head; its scaling becomes part of the weights."""
    linear = surgery.without_scaling(head[1], head[0].mean_, head[0].scale_)
    surgery.replace_head(project.network, len(project.class_names), like=linear)


def _calibrate(project: Project, valid: Inputs) -> Project:
    """Choose the temperature on valid."""
    p = training.predict_proba(project.network, valid.x, batch_size=AT_A_TIME)
    return _set_temperature(project, p, valid.y.numpy())


def _set_temperature(project: Project, p: np.ndarray, y: np.ndarray) -> Project:
    """Let certainty agree with accuracy; sharpen only where mistakes say how far."""
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
) -> Project:
    """Train by the plan: frozen first, then tuned, then the best of the way between.

    The weights at the start, at the end and halfway between are judged on valid; the
    middle is often better than both. The frozen one stays where the best of the others
    gains less than its standard error; then nothing is left to choose, and its head is
    fitted once more, on train and valid. The test part is not looked at.

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
    Project
        Its card says under "method" what was kept.

    Source
    ------
    Kumar et al. 2022 (the start); Wortsman et al. 2022, Robust Fine-Tuning of
    Zero-Shot Models (the middle); Guo et al. 2017 (the temperature).
    """
    best = frozen
    if plan.method == "tuned":
        first, tuned = surgery.snapshot(frozen.network.cpu()), deepcopy(frozen)
        # A head that is certain of its examples leaves nothing to learn.
        scale_head(surgery.freeze_batch_norm(tuned.network), 0.2)
        _train(tuned, inputs, plan, seed, "tuned")
        last = surgery.snapshot(tuned.network.cpu())
        for kept, share in (("halfway", 0.5), ("tuned", 1.0)):
            # Counters are whole numbers, and made so again when they are loaded.
            way = {k: v.float().lerp(last[k].float(), share) for k, v in first.items()}
            tuned.network.load_state_dict(way)
            tuned.card["method"]["kept"] = kept
            _calibrate(tuned, inputs["valid"])
            if tuned.card["figures"][LOSS] < best.card["figures"][LOSS]:
                best = deepcopy(tuned)
    better = best is not frozen and _surely_better(best, frozen, inputs["valid"])
    return best if better else _refit(frozen, inputs, seed)


def _refit(frozen: Project, inputs: dict, seed: int) -> Project:
    """Fit a new head on train and valid; cross-validation gives the temperature."""
    project, parts = deepcopy(frozen), [inputs["train"], inputs["valid"]]
    x = np.concatenate([part.features for part in parts])
    y = np.concatenate([part.y.numpy() for part in parts])
    head, options = fit_head(x, y, seed=seed), {"method": "predict_proba"}
    p = model_selection.cross_val_predict(head, x, y, cv=_folds(y, seed), **options)
    _put(head, project)
    project.card["method"]["head"] = "fitted on train and valid"
    return _set_temperature(project, p, y)


def _surely_better(project: Project, other: Project, valid: Inputs) -> bool:
    """Tell whether the gain on valid exceeds its standard error (Breiman 1984)."""
    x, y = valid.x, valid.y.numpy()
    said = [made.probabilities(x)[range(len(y)), y] for made in (project, other)]
    return bool(ttest_rel(*np.log(np.clip(said, 1e-12, 1))).statistic > 1)


def train_from_scratch(
    task: tasks.Task, plan: Plan, inputs: dict, *, seed: int = 0
) -> Project:
    """Train the control: the same network and steps, random weights at the start.

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
        Calibrated on valid.
    """
    project = new_project(task, plan, pretrained=False, seed=seed)
    _train(project, inputs, plan, seed, "scratch")
    return _calibrate(project, inputs["valid"])


def _train(made: Project, inputs: dict, plan: Plan, seed: int, recipe: str) -> None:
    """Take the plan's steps: several passes, or one over a part of the examples.

    When the budget is spent, the training stops there and says so.
    """
    (x, y, _, spent), rates = inputs["train"], RECIPES[plan.kind][recipe]
    most = plan.steps * rates["batch_size"]
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:most]
    torch.manual_seed(seed)  # of augmentation and dropout
    options = {**rates, "epochs": max(1, most // len(x)), "seed": seed}
    # Fine-tuning and the control share what is left.
    end = default_timer() + (plan.left - spent) / (2 if plan.method == "tuned" else 1)

    def prepare(batch: torch.Tensor) -> torch.Tensor:
        if default_timer() > end:
            raise TimeoutError
        return training.augment(batch) if plan.kind == "images" else batch

    try:
        training.fit(made.network, (x[rows], y[rows]), transform=prepare, **options)
    except TimeoutError:
        made.card["method"]["stopped"] = "early: the budget was spent"
        print(f"The training ({recipe}) stopped early: the budget is spent.")


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
