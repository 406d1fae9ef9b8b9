"""`python -m einfall` is the command line."""

import sys

from einfall.instruments.command_line import main

if __name__ == "__main__":
    sys.exit(main())
