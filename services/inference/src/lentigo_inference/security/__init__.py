"""Who asks, by API key or token, what they may do, and how often."""
