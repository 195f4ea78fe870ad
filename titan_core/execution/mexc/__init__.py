"""MEXC contract (USDT perpetuals): its words, its REST calls through ccxt, its private stream over a websocket. Orders go over REST: there is no other way."""
