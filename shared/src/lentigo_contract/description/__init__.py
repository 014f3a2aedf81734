"""What a lesion looks like: asymmetry, border, colours and diameter, from mask and pixels.

It describes the picture. It plays no part in the diagnosis, and the network does not use it.
"""
