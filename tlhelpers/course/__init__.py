"""What runs, checks and publishes the lessons."""
