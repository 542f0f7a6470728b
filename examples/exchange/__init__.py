"""Two teams with a service each: a fine-tune is pushed, and what the other team made of it is pulled."""
