"""`magnetar doctor`: what workers and functions need of this host, looked at one by one."""
