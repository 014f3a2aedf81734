"""The model repository: layout, reading and publishing."""
