"""``python -m tlhelpers`` is the command ``tlhelpers``."""

from .cli import main

raise SystemExit(main())
