"""Training loops, schedules, losses and what they keep on disk."""
