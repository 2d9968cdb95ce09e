"""The Python SDK: ask a TAME Router from another program."""
