"""What several commands share: their options, the machines that they run on, and publishing."""
