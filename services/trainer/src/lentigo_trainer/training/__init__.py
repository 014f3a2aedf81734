"""Training loops, schedules, losses and their files; start reading at `fit`."""
