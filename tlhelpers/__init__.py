"""Helpers of a hands-on transfer learning course; heavy libraries load when used."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

#: The names in each room; a room is imported when one of its names is asked for.
_ROOMS = json.loads(Path(__file__).with_name("rooms.json").read_text("utf-8"))
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tlhelpers' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
