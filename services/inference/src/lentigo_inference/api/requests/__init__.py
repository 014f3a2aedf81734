"""Request bodies, read within limits of size and time, and clients that leave."""
