"""Start a learner's server, as that learner: lessons are copied first, then served."""

import os
import shutil
from pathlib import Path

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

COURSE = Path(__file__).resolve().parents[2]
#: Lessons that run at the same time for one learner.
MOST = 2


class Kernels(AsyncMappingKernelManager):
    """Two lessons at a time: each that is left open keeps a gigabyte or more."""

    async def start_kernel(self, *, kernel_id=None, **more):
        """Start another, or say in words how to make room for it."""
        if kernel_id not in self and len(self) >= MOST:
            raise HTTPError(
                429,
                f"{MOST} lessons are running, and there is memory for no more. Close "
                "one: in its window choose Kernel → Shut Down Kernel, then try again.",
            )
        return await super().start_kernel(kernel_id=kernel_id, **more)


def copy_lessons(home: Path) -> Path:
    """Copy the lessons that the learner does not have; what is there stays.

    Parameters
    ----------
    home : Path
        The learner's home.

    Returns
    -------
    Path
        The folder of the copy.
    """
    # The copies for a class, without outputs, where `make student` has written them.
    made = COURSE / "build" / "class" / "student"
    source = made if made.is_dir() else COURSE / "notebooks"
    target = home / "course" / "notebooks"
    for file in (f for f in source.rglob("*") if f.is_file()):
        place = target / file.relative_to(source)
        if not place.exists() and ".ipynb_checkpoints" not in place.parts:
            place.parent.mkdir(parents=True, exist_ok=True)
            half = place.with_name(place.name + ".part")
            shutil.copyfile(file, half)  # the learner's own: no rights come along
            half.replace(place)
    return target


if __name__ == "__main__":
    from jupyterhub.singleuser import main

    copy_lessons(Path.home())
    os.chdir(Path.home())
    main()
