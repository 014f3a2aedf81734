"""How much the service takes at a time: predictions, bytes of uploads, memory to decode."""
