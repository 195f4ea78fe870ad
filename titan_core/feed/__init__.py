"""Market data from venues: connections, codecs, sequence-checked books, subscriptions, recording."""
