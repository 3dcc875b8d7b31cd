"""Kill whatever can be killed under load, and account for every call that was acknowledged.

load   a `Caller` makes calls and writes each into its `Ledger` before it makes it
site   receives the webhooks, in a process of its own
books  compares ledgers with what came out: analytics, webhooks, metrics
plan   what is killed when, from a seed
torture, embedded  run all that with a node, or with a process that has greenroom in it
power_cut  what a disk may have of a database when the power fails
"""
