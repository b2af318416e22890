"""The supervisors that are measured side by side: how each is got, told what to run, and where its logs are."""
