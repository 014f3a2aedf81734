"""The member `description` of a prediction: its schema, and how it is made."""
