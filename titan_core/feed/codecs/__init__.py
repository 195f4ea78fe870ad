"""One codec per venue: frames in, rows out, no sockets."""
