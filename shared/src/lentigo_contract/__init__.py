"""What the trainer and the inference service agree on.

Labels and their order, the reading of images, the manifest and the layout of the model
repository, and one tree of errors. Knows neither TensorFlow nor HTTP.
"""

__version__ = "0.2.0"
