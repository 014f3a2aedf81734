"""Lesions that HAM10000 lists twice under different ids: the search for them, and its result."""
