"""What every test runs under."""

from hypothesis import settings

# The same examples on every run, and no failure for a busy machine.
settings.register_profile("lentigo", deadline=None, derandomize=True)
settings.load_profile("lentigo")
