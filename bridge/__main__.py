"""``python -m bridge`` is the console script."""

import sys

from bridge.cli import main

sys.exit(main())
