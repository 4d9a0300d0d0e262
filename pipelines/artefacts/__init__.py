"""Files that flow between commands: each with its one reader and its one writer."""
