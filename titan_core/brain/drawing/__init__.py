"""The chart as a picture: geometry, SVG, a page, and the notations of other tools."""
