"""A venue in a box: Bybit V5, MEXC contract and Binance Spot spoken by a local exchange, over sockets or in the same process on a virtual clock."""
