"""Run broken copies of a lesson in copies of its kernel, made where they part from it.

A broken copy differs from its lesson in one cell. Until that cell both do the same, so
the kernel of the one whole run forks there: the copy runs the broken cell and the cells
up to the claim, reports, and ends; the kernel waits for it and goes on with the lesson.
A start-up file of IPython imports this. It needs ``os.fork``, and one thread.
"""

import json
import os
from pathlib import Path

from IPython import get_ipython
from IPython.utils.capture import capture_output

PLAN_VARIABLE = "TLHELPERS_TEST_PLAN"


def run_copy(shell, sources, report):
    """Run cells until one fails; return what it raised, "" if none did."""
    from tlhelpers.course.session import REPORT_VARIABLE

    os.environ[REPORT_VARIABLE] = report
    with capture_output():
        for source in sources:
            done = shell.run_cell(source)
            if not done.success:
                return repr(done.error_before_exec or done.error_in_exec)
    return ""


def fork(info):
    """Before a cell runs: let a copy of this process run each broken form of it."""
    shell = get_ipython()
    for copy in json.loads(Path(os.environ[PLAN_VARIABLE]).read_text("utf-8")):
        if copy["before"] == info.raw_cell:
            if (child := os.fork()) == 0:
                error = "the copy ended early"
                try:
                    shell.events.unregister("pre_run_cell", fork)
                    error = run_copy(shell, copy["cells"], copy["report"])
                finally:
                    Path(copy["report"]).with_suffix(".error").write_text(
                        error, "utf-8"
                    )
                    os._exit(0)
            os.waitpid(child, 0)


if PLAN_VARIABLE in os.environ:
    get_ipython().events.register("pre_run_cell", fork)
