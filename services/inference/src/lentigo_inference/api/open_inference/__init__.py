"""The Open Inference Protocol, version 2: metadata, `infer`, and the model repository."""
