"""What clean does to a text, one kind of noise per module: whether a text needs it, and the text without it."""
