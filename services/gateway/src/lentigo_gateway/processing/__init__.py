"""Working on the work list: fetch, answer, deliver, and what to do when that fails."""
