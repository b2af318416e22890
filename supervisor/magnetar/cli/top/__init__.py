"""`magnetar top`: the instances of a worker, again and again."""
