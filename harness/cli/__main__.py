"""`python -m harness.cli` does what the installed `harness` does."""

import sys

from harness.cli.dispatch import main

sys.exit(main())
