"""``python -m crdtsync`` is the same as ``crdtsync``."""

from crdtsync.cli.main import main

raise SystemExit(main())
