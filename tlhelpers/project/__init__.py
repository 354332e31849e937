"""The product of notebook 10: plan, build, keep, page."""

import json
from pathlib import Path

from ..errors import need

#: The names in each room; a room is imported when one of its names is asked for.
ROOMS = json.loads(Path(__file__).with_name("words").joinpath("rooms.json").read_text())
__all__ = sum(ROOMS.values(), [])


def __getattr__(name: str) -> object:
    room = next((r for r, names in ROOMS.items() if name in names), "keep")
    return getattr(need(f".{room}", "serve", __name__), name)
