"""``python -m ansnet``: see `ansnet.testing.command`."""

import sys

from ansnet.testing.command import main

if __name__ == "__main__":
    sys.exit(main())
