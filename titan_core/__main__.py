"""`python -m titan_core` is `titan`."""

import sys

from titan_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
