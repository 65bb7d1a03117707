"""SQL behind a store's back, as somebody with the file and no scruples would run it."""

import sqlite3

UNGUARD_AUDIT = ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")


def damage(path, *statements):
    """Run statements on the file of a space."""
    db = sqlite3.connect(path)
    try:
        for statement in statements:
            db.execute(statement)
        db.commit()
    finally:
        db.close()
