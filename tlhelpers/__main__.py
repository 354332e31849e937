"""``python -m tlhelpers`` is the command ``tlhelpers``."""

from .course.cli import main

raise SystemExit(main())
