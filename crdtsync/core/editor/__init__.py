"""The editor protocol, without sockets: what editors say, and what they are told."""
