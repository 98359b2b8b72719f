"""The page that a camera serves on its own site: its picture, what is outlined in it, and pointing at things."""
