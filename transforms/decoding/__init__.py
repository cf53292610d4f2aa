"""From payload bytes to readings or dead letters; what `Decode` is wired of."""
