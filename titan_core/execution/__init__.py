"""Orders on their way to the venues and back: the service, its clients, its keys. What stands here awaits the network."""
