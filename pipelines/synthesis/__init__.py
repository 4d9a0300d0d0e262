"""Drawing synthetic images: their boxes, and the rejection of copies."""
