"""The service, with a shadow version that does not yield, so that no test needs a quiet machine.

With the argument `hang`, the shadow version loads and then answers nothing.
"""

import sys
from unittest.mock import patch

from lentigo_inference.cli import main
from lentigo_inference.shadow import process
from tests.inference.shadow.trials import EAGER, HANGING

if __name__ == "__main__":
    hangs = "hang" in sys.argv
    with patch.object(process, "COMMAND", HANGING if hangs else EAGER):
        sys.exit(main([]))
