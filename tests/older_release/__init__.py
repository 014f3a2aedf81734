"""What older releases wrote, which newer ones still read."""

from pathlib import Path
from typing import Final

MANIFEST: Final = Path(__file__).parent / "manifest.json"
"""The manifest of version 3, before the fields of training and augmentation were renamed."""
