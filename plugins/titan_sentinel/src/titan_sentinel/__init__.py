"""The Sentinel, Titan's phase above 50,000 USDT. An empty shell: it declares no entry point, so Titan does not list it as a phase."""
