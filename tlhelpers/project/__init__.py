"""The product of notebook 10: plan, build, keep, page."""
