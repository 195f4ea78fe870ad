"""The Hunter, Titan's phase for 2,500 to 50,000 USDT. An empty shell: it declares no entry point, so Titan does not list it as a phase."""
