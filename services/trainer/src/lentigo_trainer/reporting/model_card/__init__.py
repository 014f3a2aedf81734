"""The model card of a published version."""
