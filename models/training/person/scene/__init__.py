"""Procedural pictures of people in shops: `compose.picture` makes one from a recipe, a seed and an index."""
