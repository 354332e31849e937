"""Write ``result.png``, the picture of the README, from kept outputs of lesson 00.

    python docs/images/keep_result.py

Above the first row of the answers to test pictures, below the scores of all ways. The
pictures and figures are those of the published notebook; nothing is computed. The
README and the front page get the alternative text.
"""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
LESSON = HERE.parents[1] / "notebooks" / "00_start_here.ipynb"
#: The cells, by their names: answers of the three lines, scores of all ways.
ANSWERS, SCORES = "nb00-39", "nb00-34"
ROW, GAP = 171, 14  # pixels: height of a row of answers, space below it
SHOWN = 8  # answers in a row


def kept(name: str) -> tuple[Image.Image, str]:
    """Return the picture that a cell of the lesson put out, and its text."""
    cells = json.loads(LESSON.read_text(encoding="utf-8"))["cells"]
    (cell,) = (c for c in cells if c["id"] == name)
    (output,) = (o for o in cell["outputs"] if "image/png" in o.get("data", {}))
    data = base64.b64decode("".join(output["data"]["image/png"]))
    alt = output["metadata"]["image/png"]["alt"]
    return Image.open(io.BytesIO(data)).convert("RGB"), alt


def alternative_text() -> str:
    """Say what is on the picture, in the words of the notebook."""
    answers, scores = kept(ANSWERS)[1], kept(SCORES)[1]
    first = "; ".join(answers.split(": ", 1)[1].split("; ")[:SHOWN])
    return f"Answers to {SHOWN} test pictures: {first}. Below, {scores}"


def draw() -> Image.Image:
    """Put both pictures on one sheet of 256 colours."""
    answers, scores = kept(ANSWERS)[0], kept(SCORES)[0]
    answers = answers.crop((0, 14, answers.width, ROW))
    top = answers.height + GAP
    sheet = Image.new("RGB", (answers.width, top + scores.height), "white")
    sheet.paste(answers)
    sheet.paste(scores, ((sheet.width - scores.width) // 2, top))
    # The usual 256 colours gave some dots of the chart the colour of others.
    return sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


if __name__ == "__main__":
    draw().save(HERE / "result.png", optimize=True)
    line = f"![{alternative_text()}](docs/images/result.png)"
    for page in (HERE.parents[1] / "README.md", HERE.parent / "site" / "index.md"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"!\[[^\]]*\]\(docs/images/result\.png\)", lambda _: line, text)
        page.write_text(text, encoding="utf-8", newline="\n")
