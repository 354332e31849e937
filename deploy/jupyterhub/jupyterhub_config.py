"""JupyterHub for a class on one Linux server; README.md beside this file says how."""

import os
import resource
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner

HERE, GB, HOUR = Path(__file__).resolve().parent, 2**30, 3600
c = get_config()  # noqa: F821 (traitlets defines it)

#: A password: try it out on a laptop without accounts. Everybody is then you.
REHEARSAL = os.environ.get("HUB_REHEARSAL")
ADDRESS = os.environ.get("HUB_ADDRESS", "http://127.0.0.1:8000")
CERTIFICATE, KEY = os.environ.get("HUB_CERTIFICATE"), os.environ.get("HUB_KEY")
#: What a learner takes: the largest lesson 2.0 GB, the server beside it 0.2.
SEAT = 2.2 * GB
#: What one process may ask for. It asks for more than it uses: the largest lesson
#: for 2.8 GB.
MEMORY = float(os.environ.get("HUB_MEMORY_GB", 3.5)) * GB
#: The system and the hub keep 2 GB. Who comes when all seats are taken is told so.
SEATS = int(max(1, (psutil.virtual_memory().total - 2 * GB) // SEAT))
SEATS = int(os.environ.get("HUB_SEATS", SEATS))

# --- the door ------------------------------------------------------------------------

local = urlsplit(ADDRESS).hostname in ("127.0.0.1", "localhost", "::1")
if REHEARSAL and not local:
    raise SystemExit("A rehearsal has no walls between learners: 127.0.0.1 only.")
if not (local or (CERTIFICATE and KEY)):
    # Passwords must not travel in the open.
    raise SystemExit(
        f"{ADDRESS} is open to others: give HUB_CERTIFICATE and HUB_KEY, or stay on "
        "127.0.0.1 behind a server that has them. See deploy/jupyterhub/README.md."
    )
c.JupyterHub.bind_url = ADDRESS
if CERTIFICATE and KEY:
    c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = CERTIFICATE, KEY
c.JupyterHub.template_paths = [str(HERE / "templates")]
c.JupyterHub.template_vars = {"seats": SEATS}
if REHEARSAL:
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = REHEARSAL
    c.Authenticator.allow_all = True
else:
    # Accounts of this system. Each has a password and a home of its own, and the
    # system's rights keep the course read-only and homes apart.
    c.JupyterHub.authenticator_class = "pam"
    c.LocalAuthenticator.allowed_groups = {"course"}
    c.PAMAuthenticator.admin_groups = {"sudo"}

# --- a seat --------------------------------------------------------------------------


class Seat(SimpleLocalProcessSpawner if REHEARSAL else LocalProcessSpawner):
    """A learner's server, whose processes may ask for so much memory, and no more.

    What asks for more gets an error in its cell. Without the limit the system would
    run out of memory and end some process, perhaps another learner's.
    """

    def make_preexec_fn(self, name):
        """Add the limit to what is done before the server starts."""
        before = super().make_preexec_fn(name)

        def begin():
            before()
            resource.setrlimit(resource.RLIMIT_DATA, (self.mem_limit, self.mem_limit))

        return begin


c.JupyterHub.spawner_class = Seat
c.JupyterHub.active_server_limit = SEATS
c.Spawner.mem_limit = int(MEMORY)
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120  # thirty servers that start at once are slow to answer
# A learner's own settings could weaken the sign-in to that learner's server.
c.Spawner.disable_user_config = True
c.Spawner.default_url = "/lab/tree/course/notebooks/00_start_here.ipynb"
# The lessons are copied when a learner comes first. Package, data and weights stay
# where they are: they belong to whoever installed the course, and are only read.
c.Spawner.cmd = [sys.executable, str(HERE / "start_server.py")]
c.Spawner.args = [
    # The memory of a seat is that of two lessons, one of them idle: see the class.
    "--ServerApp.kernel_manager_class=__main__.Kernels",
    # A seat becomes free when somebody has left: idle kernels, then the server.
    f"--MappingKernelManager.cull_idle_timeout={2 * HOUR}",
    "--MappingKernelManager.cull_connected=True",
    f"--ServerApp.shutdown_no_activity_timeout={HOUR}",
]
# Cores are shared: threads of thirty learners would only wait for one another.
threads = str(max(1, (os.cpu_count() or 1) // SEATS))
c.Spawner.environment = {
    "OMP_NUM_THREADS": threads,
    "MKL_NUM_THREADS": threads,
    # Thirty downloads of one model would fill line and disk.
    "HF_HUB_OFFLINE": "1",
}
c.Spawner.env_keep = ["PATH", "LANG", "LC_ALL", "TLHELPERS_SMOKE", "PYTHONPATH"]

# --- what stays ----------------------------------------------------------------------

place = Path(os.environ.get("HUB_FOLDER", HERE.parents[1] / "build" / "hub")).resolve()
place.mkdir(parents=True, exist_ok=True)
place.chmod(0o700)  # the key of all cookies lies here
c.JupyterHub.db_url = f"sqlite:///{place / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(place / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(place / "proxy.pid")
c.SimpleLocalProcessSpawner.home_dir_template = str(place / "homes" / "{username}")
