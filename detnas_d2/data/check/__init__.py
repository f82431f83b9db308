"""Check of a user's data set before training, and seeded splits: python -m detnas_d2.data.check."""
