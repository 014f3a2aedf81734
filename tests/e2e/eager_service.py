"""The service, with a shadow version that does not yield, so that no test needs a quiet machine."""

import sys
from unittest.mock import patch

from lentigo_inference.cli import main
from lentigo_inference.shadow import process
from tests.inference.shadow.trials import EAGER

if __name__ == "__main__":
    with patch.object(process, "COMMAND", EAGER):
        sys.exit(main())
