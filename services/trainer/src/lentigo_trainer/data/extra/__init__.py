"""Images beside HAM10000: imported once into a set of their own, then trained with or tested on."""
