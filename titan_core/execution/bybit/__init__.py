"""Bybit V5: its words, its REST calls through ccxt, its order entry and its private stream over websockets."""
