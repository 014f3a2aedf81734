"""What a version says about itself."""
