"""Train word vectors on English Wikipedia: word2vec, skip-gram (gensim).

    python data/make/train_word_vectors.py wikipedia --data FOLDER

One command, some minutes on two cores. ``data/models`` gets the vectors (safetensors,
fp16, most frequent words first) and a card with the words.

Mikolov et al., Distributed Representations of Words and Phrases (2013).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from corpus import Corpus, read_corpus, write_vocabulary
from safetensors.numpy import save_file
from tqdm.auto import tqdm

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 1_000


@dataclass
class Recipe:
    """What the training is made of; kept in the card."""

    n_words: int = 18_000
    n_tokens: int | None = None
    vector_size: int = 100
    window: int = 5
    negative: int = 8
    sample: float = 1e-4
    epochs: int = 5
    seed: int = 0


#: The small one has as many words as the course has mail, and is trained as long as
#: vectors of the mail are: what is different is the kind of text.
RECIPES = {
    "wikipedia": Recipe(),
    "wikipedia_small": Recipe(5_000, 146_000, sample=1e-3, epochs=20),
}


class Sentences:
    """The text as lists of words, without fastai's special tokens."""

    def __init__(self, corpus: Corpus, n: int | None) -> None:
        self.words = np.array(corpus.vocabulary, dtype=object)
        special = np.array([w.startswith("xx") for w in corpus.vocabulary])
        numbers = corpus.train[~special[corpus.train]]
        blocks = np.array_split(numbers, len(numbers) // BLOCK)
        # A small sample comes from all over the text, not from its first articles.
        self.blocks = blocks[:: len(numbers) // n if n else 1]

    def __iter__(self) -> Iterator[list[str]]:
        for block in tqdm(self.blocks, leave=False):
            yield list(self.words[block])


def main() -> None:
    """Read the command line, train, save."""
    from gensim.models import Word2Vec

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of the texts")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "models")
    args = parser.parse_args()
    recipe, start = RECIPES[args.name], time.perf_counter()
    settings = {k: v for k, v in asdict(recipe).items() if not k.startswith("n_")}
    corpus = read_corpus(args.data, ROOT / "build" / "corpus")
    model = Word2Vec(
        Sentences(corpus, recipe.n_tokens),
        min_count=2,
        sg=1,
        max_final_vocab=recipe.n_words,
        workers=args.workers,
        **settings,
    )
    words = model.wv.index_to_key
    path = args.out / f"{args.name}_vectors.safetensors"
    args.out.mkdir(parents=True, exist_ok=True)
    # Row by row, which the format takes for granted.
    rows = np.ascontiguousarray(model.wv.vectors, np.float16)
    save_file({"vectors": rows}, path)
    card = {
        "title": "word2vec vectors, trained by this course",
        "source_task": "predict the words around a word, in English Wikipedia (2015)",
        "origin": "vectors: this course; text: Wikipedia, its authors, CC BY-SA 3.0",
        "licence": "Apache-2.0 for the vectors; the text is not included",
        "command": f"python data/make/train_word_vectors.py {args.name}",
        "recipe": asdict(recipe),
        "seconds": round(time.perf_counter() - start),
        "measured": f"{len(words):,} words, {recipe.vector_size} numbers each; "
        f"{recipe.epochs} passes over {model.corpus_total_words / 1e6:.1f} million "
        "words",
        "tokenizer": "fastai's, without its special tokens; lower case",
        "known_biases": "those of Wikipedia's authors, measured in notebook 05",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "vocabulary_sha256": write_vocabulary(path.with_suffix(".txt"), words),
    }
    text = json.dumps(card, indent=1, ensure_ascii=False)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(len(words), card["seconds"], "s")


if __name__ == "__main__":
    main()
