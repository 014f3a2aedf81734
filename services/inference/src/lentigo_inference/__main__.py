"""`python -m lentigo_inference`, the same as the command `lentigo-inference`."""

import sys

from lentigo_inference.cli import main

if __name__ == "__main__":
    sys.exit(main())
