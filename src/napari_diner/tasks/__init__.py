"""The questions a user asks: one recipe and one ``reconstruct`` for each."""
