"""Getting models: downloads, archives that nobody vouches for, and which of their files are the SavedModel."""
