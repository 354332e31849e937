"""Draw the bundled ``pets`` data set: illustrated cats and dogs, 96 x 96 pixels.

Every breed has a twin in the other class that wears the same ears, coats, colours,
build and tail, and pose, tilt, scene, toys, light and damage are sampled without
looking at the class.  What is left to tell the classes apart is anatomy: head, muzzle,
eyes and whiskers.  The colour of the nose and the tongue only lean towards a class.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

# The neighbours must be found however this file is loaded, by path included.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing_program import DrawingProgram, picture_rng
from painting import OVERSAMPLE, Canvas, Pen, ellipse
from pet_anatomy import BODIES, IRISES, Body, Breed, Head, draw_head, make_coat
from pet_scenes import (
    LIGHT_ODDS,
    LIGHTS,
    OCCLUSION_ODDS,
    OCCLUSIONS,
    SCENES,
    apply_light,
    draw_occlusion,
    draw_scene,
    draw_toys,
    finish,
)

LABELS = ("cat", "dog")


# One row per pair of twins.  Because the look stands once for both, no ear, coat,
# colour, build or tail can be commoner among cats than among dogs.
# cat: name, width, muzzle, eye | dog: name, width, muzzle, eye | shared look
TWINS = (
    ("Harbour Tabby", 1.02, 0.16, 1.00, "Ridge Shepherd", 0.92, 0.86, 1.0,
     "folded", "bicolour points", "brown grey", "medium", "long", 0.6),
    ("Marmalade", 1.06, 0.14, 1.00, "Fox Spitz", 1.02, 0.62, 1.0,
     "folded", "bicolour patches", "ginger cream", "stout", "plume", 0.9),
    ("Chimney Shadow", 0.98, 0.18, 1.10, "Coal Terrier", 0.88, 0.78, 0.9,
     "pricked", "plain bicolour", "black grey", "slim", "long", 0.4),
    ("Palace Point", 0.94, 0.24, 1.05, "Northern Sled", 0.98, 0.72, 1.0,
     "pricked", "points", "cream white", "slim", "curled", 0.4),
    ("Frost Longhair", 1.10, 0.12, 1.00, "Snow Spitz", 1.06, 0.60, 1.0,
     "folded", "points patches", "white cream", "stout", "plume", 1.2),
    ("Tuxedo", 1.00, 0.16, 1.05, "Coast Collie", 0.92, 0.80, 1.0,
     "folded", "bicolour points", "black brown", "medium", "plume", 0.7),
    ("Slate Button", 1.12, 0.12, 1.15, "Bat Bulldog", 1.10, 0.40, 1.2,
     "rounded", "points bicolour", "grey fawn", "stout", "bob", 0.4),
    ("Patchwork", 1.02, 0.16, 1.00, "Cattle Herder", 0.96, 0.72, 0.9,
     "folded", "patches points", "ginger white", "medium", "long", 0.6),
    ("Savanna Spot", 0.94, 0.22, 1.00, "Dune Hound", 0.84, 0.94, 0.9,
     "rounded", "spots points", "fawn ginger", "slim", "curled", 0.3),
    ("Silver Moon", 1.12, 0.12, 1.20, "Meadow Terrier", 0.94, 0.70, 1.0,
     "folded", "striped plain", "grey cream", "stout", "bob", 0.6),
    ("Cocoa Fold", 1.06, 0.14, 1.10, "Farm Pointer", 0.88, 0.88, 1.0,
     "folded", "bicolour points", "brown black", "medium", "long", 0.5),
    ("Calico Fold", 1.06, 0.14, 1.05, "Parson Jack", 0.92, 0.74, 1.0,
     "folded", "patches bicolour", "ginger fawn", "medium", "curled", 0.6),
    ("Velvet Fold", 1.06, 0.16, 1.10, "River Retriever", 1.00, 0.80, 1.0,
     "folded", "points bicolour", "cream brown", "medium", "plume", 0.8),
    ("Cinnamon Lop", 1.02, 0.18, 1.05, "Hill Beagle", 0.94, 0.80, 1.1,
     "drooping", "saddle patches", "fawn white", "medium", "long", 0.4),
)
BUILDS = {"slim": 0.86, "medium": 1.0, "stout": 1.16}
POSES = ("sitting", "standing", "lying", "portrait")
FACINGS = ("left", "right", "front")
# What a face may look like: values, odds for cats, odds for dogs.  Eyes and whiskers
# belong to the anatomy, and ImageNet models look for them; the rest only leans.
FACES = {
    "eyes": (("almond", "round"), (1.0, 0.0), (0.0, 1.0)),
    "iris": (("amber", "green", "blue", "brown", "dark"),
             (0.40, 0.32, 0.28, 0.0, 0.0), (0.06, 0.0, 0.06, 0.30, 0.58)),
    "pupil": (("round", "slit"), (0.88, 0.12), (1.0, 0.0)),
    "whiskers": (("pale", "dark", "none"), (0.62, 0.20, 0.18), (0.0, 0.0, 1.0)),
    "nose": (("black", "brown", "pink"), (0.30, 0.30, 0.40), (0.46, 0.30, 0.24)),
    "tongue": (("in", "out"), (1.0, 0.0), (0.60, 0.40)),
}


def breeds(label: str) -> tuple[Breed, ...]:
    """Return the breeds of one class, in the order of the table.

    Parameters
    ----------
    label : str
        ``"cat"`` or ``"dog"``.

    Returns
    -------
    tuple of Breed
        Breed number *i* of one class is the twin of number *i* of the other.
    """
    start = {"cat": 0, "dog": 4}[label]
    return tuple(
        Breed(*row[start : start + 4], row[8], tuple(row[9].split()),
              tuple(row[10].split()), *row[11:])
        for row in TWINS
    )


# ---------------------------------------------------------------- one picture


def sample_attributes(label: str, rng: np.random.Generator) -> dict:
    """Choose everything about a picture; only breed and face look at the label."""
    number = int(rng.integers(len(TWINS)))
    breed = breeds(label)[number]
    hard = rng.random(2) < 0.1
    odds = LABELS.index(label) + 1
    return {
        "breed": breed.name,
        "ears": breed.ears,
        "coat": str(rng.choice(breed.coats)),
        "colour": str(rng.choice(breed.colours)),
        "build": breed.build,
        "pose": str(rng.choice(POSES, p=(0.30, 0.05, 0.19, 0.46))),
        "facing": str(rng.choice(FACINGS)),
    } | {k: str(rng.choice(face[0], p=face[odds])) for k, face in FACES.items()} | {
        "scale": round(float(rng.uniform(0.74, 1.16)), 3),
        "background": str(rng.choice(list(SCENES))),
        "light": str(rng.choice(list(LIGHTS), p=LIGHT_ODDS)),
        "occlusion": str(rng.choice(OCCLUSIONS, p=OCCLUSION_ODDS)),
        "blur": round(float(hard[0] * rng.uniform(0.5, 1.1)), 2),
        "noise": round(float(rng.uniform(1, 2.5) + hard[1] * rng.uniform(3, 7)), 2),
    }


def place(canvas: Canvas, attributes: dict) -> Pen:
    """Choose where in the picture the animal stands, and how large."""
    rng, side = canvas.rng, canvas.side
    centre = rng.normal((0.5, 0.5), (0.095, 0.066))
    if attributes["occlusion"] == "edge":
        centre = centre + (rng.choice((-0.17, 0.17)), rng.uniform(-0.02, 0.06))
    reach = {"sitting": 0.46, "standing": 0.46, "lying": 0.50, "portrait": 0.46}
    flip = -1 if attributes["facing"] == "left" else 1
    if attributes["facing"] == "front":
        flip = int(rng.choice((-1, 1)))
    scale = reach[attributes["pose"]] * attributes["scale"] * side
    ahead = {"lying": -0.10, "standing": -0.07}.get(attributes["pose"], 0.0)
    up = {"lying": -0.14, "sitting": 0.05}.get(attributes["pose"], 0.03)
    x, y = (centre + (flip * ahead, up)) * side
    return Pen(x, y, scale, flip, rng.normal(0, 0.26))


def draw_animal(canvas: Canvas, pen: Pen, label: str, attributes: dict) -> None:
    """Draw body, then head, in the chosen pose."""
    rng = canvas.rng
    breed = next(b for b in breeds(label) if b.name == attributes["breed"])
    coat = make_coat(canvas, pen, breed, attributes["coat"], attributes["colour"])
    front = attributes["facing"] == "front"
    turn = float(rng.uniform(0.0, 0.2) if front else rng.uniform(0.35, 0.85))
    body = Body(canvas, pen, label, coat, BUILDS[breed.build], breed.tail)
    x, y, size = BODIES[attributes["pose"]](body, turn)
    iris = np.clip(np.array(IRISES[attributes["iris"]]) + rng.normal(0, 10, 3), 20, 235)
    head = Head(canvas, pen.child(x, y, size * rng.uniform(0.95, 1.06),
                                  rng.normal(0, 0.09)),
                label, breed, coat, turn, attributes, tuple(iris))
    draw_head(head)


def paint_picture(canvas: Canvas, label: str, attributes: dict) -> None:
    """Paint scene, shadow, animal and whatever stands in front of it."""
    draw_scene(canvas, attributes["background"], canvas.rng.uniform(0.42, 0.7))
    draw_toys(canvas)
    pen = place(canvas, attributes)
    ground = (pen.y + 0.92 * pen.scale) / canvas.side
    if attributes["pose"] != "portrait":
        canvas.shadow(ellipse(pen.x / canvas.side, ground, 0.34, 0.06))
    draw_animal(canvas, pen, label, attributes)
    draw_occlusion(canvas, attributes["occlusion"], min(ground, 0.95))


def draw_pet(label: str, rng: np.random.Generator, *,
             size: int = 96) -> tuple[Image.Image, dict]:
    """Draw one cat or dog.

    Parameters
    ----------
    label : str
        ``"cat"`` or ``"dog"``.
    rng : numpy.random.Generator
        Source of every choice; the same state gives the same picture.
    size : int
        Side of the square picture in pixels.

    Returns
    -------
    image : PIL.Image.Image
        The RGB picture.
    attributes : dict
        What was drawn: breed, ears, coat, colour, build, pose, facing, scale,
        background, light, occlusion, blur, noise, and the face: eyes, iris, pupil,
        whiskers, nose, tongue.

    Raises
    ------
    ValueError
        If ``label`` is neither ``"cat"`` nor ``"dog"``, or ``size`` is below 16.
    """
    if label not in LABELS:
        raise ValueError(f"label is {label!r}; choose one of {', '.join(LABELS)}")
    if size < 16:
        raise ValueError(f"size is {size}; pictures need at least 16 pixels")
    attributes = sample_attributes(label, rng)
    canvas = Canvas(size * OVERSAMPLE, rng)
    paint_picture(canvas, label, attributes)
    rgb = apply_light(canvas.rgb, attributes["light"], rng)
    image = finish(rgb, size, attributes["blur"], attributes["noise"], rng)
    return image, attributes


# ---------------------------------------------------------------- the data set


ATTRIBUTES = ("breed", "ears", "coat", "colour", "build", "pose", "facing", "eyes",
              "iris", "pupil", "whiskers", "nose", "tongue", "scale", "background",
              "light", "occlusion", "blur", "noise")
BIASES = (
    "These are drawings from one program, not photographs: a model that does well here"
    " has not been shown to do well on real animals.",
    "There are only 14 breeds per class, all invented, and the same breeds occur in"
    " train, valid and test: the test split does not measure unseen breeds.",
    "Every picture shows exactly one animal, usually large and near the middle.",
    "Anatomy carries the class: cats have short faces, larger, bright almond eyes and"
    " mostly whiskers; dogs have long muzzles, smaller, round, mostly dark eyes and big"
    " noses. Nothing lies between.",
    "Eye shape, iris colour or whiskers alone nearly give the class away to anyone who"
    " reads them off the manifest; a small network has to find them in the picture.",
    "Slit pupils occur only on cats, hanging tongues only on dogs; black noses are"
    " commoner on dogs.",
    "Most breeds of both classes have folded ears; drooping ears belong to one breed"
    " per class.",
    "Beads, buttons, balls and strings lie about in nearly every scene.",
    "Ears, coats, colours, builds and tails are the same for both classes, which is"
    " fairer to the learner but not how real cats and dogs differ.",
    "Nearly half of the pictures are head portraits; standing animals are rarest, and"
    " the ImageNet source model recognises those worst.",
    "Head shape, leg thickness and where a standing animal holds its head depend on the"
    " class, so an outline alone gives part of the answer.",
)


def draw(seed: int, split: str, label: str, index: int) -> tuple:
    """Draw one picture of the set; an unlabelled one is a cat or a dog."""
    rng = picture_rng(seed, split, (*LABELS, "").index(label), index)
    image, attributes = draw_pet(label or str(rng.choice(LABELS)), rng)
    if not label:
        attributes["breed"] = ""  # the breed would give the class away
    return image, {"quality": int(rng.integers(76, 92))}, attributes


PROGRAM = DrawingProgram(
    name="pets",
    title="Drawn cats and dogs",
    description="Small illustrations of one cat or one dog each, in 14 invented "
    "breeds per class, many poses, scenes and lights. About one picture in three "
    "is partly hidden, blurred or grainy.",
    labels=LABELS,
    attributes=ATTRIBUTES,
    counts={"train": 400, "valid": 100, "test": 250, "unlabelled": 0},
    draw=draw,
    image_format="JPEG",
    format_note="JPEG, RGB, quality 76 to 91",
    side=96,
    known_biases=BIASES,
)


if __name__ == "__main__":
    sys.exit(PROGRAM.main())
