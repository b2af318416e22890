"""What a function is: config, details, validation, status and stats; pure, without input or output."""
