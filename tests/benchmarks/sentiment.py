"""07's and 08's recipes on real sentences: python tests/benchmarks/sentiment.py FILE.

FILE is a CSV (or CSV.xz) with the columns text, label (pos, neg) and split (train,
test), for example SST-2 (Socher et al. 2013).
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import tlhelpers as tl


def main(path: str) -> None:
    """Print the accuracies on the test split, three seeds each."""
    table = pd.read_csv(path)
    bert = tl.load_bert()
    width = 128

    def numbers(rows):
        ids = bert.encode(rows.text.tolist(), max_length=width)
        ids = torch.nn.functional.pad(ids, (0, width - ids.shape[1]))
        return ids, torch.as_tensor((rows.label == "pos").to_numpy(dtype=np.int64))

    (pool, truth), test = (numbers(table[table.split == s]) for s in ("train", "test"))
    texts = table[table.split == "train"].text.to_numpy()
    plain = tl.BertClassifier(bert.body, 2)
    features = tl.extract_features(plain, test[0])
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(len(pool))[:1000]
        tuned = tl.tune_bert(bert, texts[rows], truth[rows], epochs=3, seed=seed)
        free = LogisticRegression(C=0.01, max_iter=2000)
        head = make_pipeline(tl.CommonScaler(), free)
        head.fit(tl.extract_features(plain, pool[rows]), truth[rows])
        print(
            f"1,000 labels, seed {seed}: tuned {tl.evaluate(tuned, test):.3f}, "
            f"frozen {head.score(features, test[1]):.3f}",
            flush=True,
        )
        del tuned
    table = bert.body.get_input_embeddings().weight.detach().numpy()
    vectors = torch.from_numpy(PCA(64, random_state=0).fit_transform(table))
    vectors /= vectors.std()
    plan = {"lr": 2e-3, "batch_size": 32}
    for n, passes in ((120, (6, 60)), (480, (4, 30))):
        for seed in range(3):
            rows = np.random.default_rng(100 + seed).permutation(len(pool))[: n + 1000]
            x, y = pool[rows], truth[rows].clone()
            teacher = tl.tune_bert(
                bert, texts[rows[:n]], y[:n], epochs=passes[0], frozen=2, seed=seed
            )
            y[n:] = -1
            alone, taught = (tl.WordPieceCNN(vectors, 2, seed=seed) for _ in range(2))
            tl.fit(alone, (x[:n], y[:n]), epochs=passes[1], seed=seed, **plan)
            said = tl.predict_logits(teacher, x)
            tl.distill(taught, x, said, y, epochs=15, seed=seed, **plan)
            scores = [tl.evaluate(m, test) for m in (teacher, alone, taught)]
            print(
                f"{n} labels, 1,000 free, seed {seed}: teacher, labels alone, "
                f"distilled {' '.join(f'{s:.3f}' for s in scores)}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1])
