"""Every notebook on CUDA, through papermill and nbval: `make test-gpu`."""

from __future__ import annotations

import pytest
import torch
from notebook_tools import NOTEBOOKS, ROOT, nbval

from tlhelpers.course import run as runner

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu(request):
    """Skip where there is no GPU, unless one was promised."""
    if not torch.cuda.is_available():
        if request.config.getoption("--require-gpu"):
            pytest.fail("no CUDA GPU was found: this run was to test one")
        pytest.skip("no CUDA GPU here")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_claims_hold_and_the_gpu_was_used(path):
    out = ROOT / "build" / "gpu"
    (entry,) = runner.run_course([path.name[:2]], out=out, profile="mini")["notebooks"]
    assert entry["status"] == "passed", (entry["error"], entry["claims"])
    assert entry["peak_gpu_mb"] > 50, "the notebook ran without touching the GPU"


def test_nbval_on_the_gpu():
    done = nbval(NOTEBOOKS)
    assert done.returncode == 0, done.stdout[-4000:]
