"""From alarms and silences to incidents and storms, and what operators say of them."""
