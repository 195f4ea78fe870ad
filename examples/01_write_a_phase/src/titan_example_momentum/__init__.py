"""An example of a Titan phase: goes with the hour's move while spot takers agree."""
