"""`magnetar dev`: functions on this host that are reloaded when their files change."""
