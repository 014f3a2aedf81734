"""`python -m lentigo_gateway`, the same as the command `lentigo-gateway`."""

import sys

from lentigo_gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
