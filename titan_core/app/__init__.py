"""Where the object graph is built: the only room that knows whether a run is a replay, paper or live."""
