"""The networks that are compared: one registry, and how an entry becomes a network in two parts."""
