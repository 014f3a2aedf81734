"""The operators' page: the work list, as a person reads it."""
