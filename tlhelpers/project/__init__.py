"""The product of notebook 10: plan, build, keep, page."""

from ..errors import need

_ROOMS = {
    "plan": "choose_plan count_classes decision_table drop_leaks inspect_data "
    "new_project read_data",
    "build": "judge read_inputs repurpose train_from_scratch train_project",
    "keep": "load_project",
    "page": "explore_project serve",
}
__all__ = " ".join(_ROOMS.values()).split()


def __getattr__(name: str) -> object:
    room = next((r for r, names in _ROOMS.items() if name in names.split()), "keep")
    return getattr(need(f".{room}", "serve", __name__), name)
