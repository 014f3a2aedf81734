"""What the operating system allows: cores, memory, files."""
