"""The inference service, asked over REST as any integrator asks it."""
