"""The parts of the screen of a session: lines of text of a known width, put together in `session_screen`."""
