"""A version on trial: it answers the same images in the background and is compared."""
