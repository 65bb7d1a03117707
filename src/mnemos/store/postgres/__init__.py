"""The store in a Postgres database, for many writers on several machines."""
