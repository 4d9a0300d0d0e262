"""Translation of images into others: of one class into another, and of masks into images."""
