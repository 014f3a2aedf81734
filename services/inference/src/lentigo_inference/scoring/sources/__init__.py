"""What can be scored: folders, zip and tar files, and tables of paths or URLs."""
