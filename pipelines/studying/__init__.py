"""What a study is made of: its design, its generators, features of all images, the scores of every arm, the tables."""
