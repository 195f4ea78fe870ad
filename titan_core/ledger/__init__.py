"""The books: what fills, funding and fees made of the money, exactly, per phase and in all; round trips, statistics and the equity curve."""
