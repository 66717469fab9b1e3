"""The proof: properties over generated captures, and a runner for volume."""
