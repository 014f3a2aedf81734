"""The engines that run a published version, for the trainer and the service alike.

`litert.py` and `savedmodel.py` are each the only file here that imports its runtime, so that a
process needs no more than the runtime it uses.
"""
