"""Generated sample reviews: a world of users and items with known tastes, and its review files."""
