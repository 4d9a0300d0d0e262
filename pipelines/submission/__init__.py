"""What makes a submission: the images wanted, predictions of runs and of CSV files, and weights fitted to them."""
