# PYTHON_ARGCOMPLETE_OK
"""``python -m ansnet``: see `ansnet.commands.main`."""

import sys

from ansnet.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
