"""The commands by their names on the console; COMMANDS table."""

# The name on the console -> the command, in the order of the work.
COMMANDS = {
    "shards": "make_shards",
    "inspect": "inspect_shards",
    "gan": "train_gan",
    "translator": "train_translator",
    "singan": "train_singan",
    "evaluate": "evaluate_gan",
    "synthetic": "synthesize",
    "adopt": "adopt_synthetic",
    "classifier": "train_classifier",
    "predict": "predict",
    "submission": "make_submission",
    "study": "study",
    "report": "report",
    "export": "export",
    "workers": "local_workers",
    "demo": "demo",
}
