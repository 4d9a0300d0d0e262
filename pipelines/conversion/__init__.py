"""Images -> shards: what make_shards and predict have in common."""
