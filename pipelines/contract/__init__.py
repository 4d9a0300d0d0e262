"""The contract that every command keeps: flags, messages, exit codes, its folder, progress."""
