"""The hunt: generated captures, and the fewest frames that show what a dissector gets wrong."""
