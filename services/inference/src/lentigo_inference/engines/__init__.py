"""The runtimes behind `engine.Engine`; each module here is the only one that imports its own."""
