"""`/v1/predictions`: images in, diagnoses out, and what the lesion turned out to be."""
