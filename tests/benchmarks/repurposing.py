"""Repurpose EfficientNet-Lite0 for a folder of pictures, layer and head by choice.

    python tests/benchmarks/repurposing.py FOLDER [--labels 10] [--seeds 5] [--size 224]

Everything is chosen by cross-validation inside the labelled pictures; the test split
is looked at once per seed.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline

import tlhelpers as tl


def on(extractor: tl.FeatureExtractor) -> Pipeline:
    """Put logistic regression on features of pictures."""
    free = LogisticRegression(max_iter=2000)
    return make_pipeline(extractor, tl.CommonScaler(), free)


def choose(extractors: list, x: np.ndarray, y: np.ndarray, seed: int) -> GridSearchCV:
    """Search layers and heads; return the search, fitted again on all labels."""
    grid = {
        "featureextractor": extractors,
        "logisticregression__C": [0.1, 1.0, 10.0],
    }
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return GridSearchCV(on(extractors[0]), grid, cv=folds).fit(x, y)


def main() -> None:
    """Read the command line, run all seeds, print the scores."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    args = parser.parse_args()
    source = tl.load_source()
    layers = ["blocks.4", "blocks.5", "blocks.6", None, ["blocks.5", "blocks.6"]]
    layers += [["blocks.4", "blocks.5", "blocks.6"]]
    extractors = [tl.FeatureExtractor(source, layer) for layer in layers]
    chosen, plain = [], []
    for seed in range(args.seeds):
        task = tl.from_folder(args.folder, seed=seed)
        x, y = (t.numpy() for t in task.train.tensors(args.size))
        test_x, test_y = (t.numpy() for t in task.test.tensors(args.size))
        rows = task.rows(min(args.labels, task.smallest_class), seed)
        search = choose(extractors, x[rows], y[rows], seed)
        chosen.append(search.score(test_x, test_y))
        last = on(extractors[3]).fit(x[rows], y[rows])
        plain.append(last.score(test_x, test_y))
        best = search.best_params_
        print(f"seed {seed}: {chosen[-1]:.3f} with {best}; last layer {plain[-1]:.3f}")
    print(f"chosen {tl.mean_sd(chosen)} · last layer {tl.mean_sd(plain)}")


if __name__ == "__main__":
    main()
