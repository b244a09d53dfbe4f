"""Messages: by which channels codes go, who carries them, what they say, how many there may be."""
