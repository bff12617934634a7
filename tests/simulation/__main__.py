"""Play seeds: ``python tests/simulation 42 --trace``, ``python tests/simulation --start 0 --seeds 5000``."""

from __future__ import annotations

import sys

from replicas.command import main

sys.exit(main())
