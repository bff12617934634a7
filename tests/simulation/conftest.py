"""The simulation is a program of its own, beside its tests: ``python tests/simulation``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
