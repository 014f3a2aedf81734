"""Image files, looked at before a decoder sees them.

A decoder meets hostile bytes. Each module here walks the structure of one container and decodes
nothing: it refuses what would cost far more work than its size allows (thousands of scans, strips
that overlap, a million empty chunks), finds the EXIF orientation, and leaves out what the pixels
do not need. A damaged comment or thumbnail can then cost neither the image nor the service.
"""
