"""The metrics of every epoch, written to files and to MLflow."""
