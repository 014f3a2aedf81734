"""Where the lesion is: hair removal and segmentation with NumPy and Pillow alone."""
