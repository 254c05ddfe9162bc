"""The store's tables. Migrations are append-only: a released one never changes."""

from __future__ import annotations

import sqlite3

from ..errors import Problem, StoreError, StoreTooNew

MIGRATIONS = (
    """
    CREATE TABLE studies (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      question TEXT NOT NULL,
      spec TEXT NOT NULL,
      data TEXT NOT NULL,
      created REAL NOT NULL,
      updated REAL NOT NULL
    );
    CREATE TABLE arms (
      study INTEGER NOT NULL REFERENCES studies(id),
      name TEXT NOT NULL,
      position INTEGER NOT NULL,
      levels TEXT NOT NULL,
      spec TEXT NOT NULL,
      PRIMARY KEY (study, name)
    ) WITHOUT ROWID;
    CREATE TABLE runs (
      id TEXT PRIMARY KEY,
      seed INTEGER NOT NULL,
      state TEXT NOT NULL,
      reason TEXT NOT NULL DEFAULT '',
      advice TEXT NOT NULL DEFAULT '',
      attempts INTEGER NOT NULL DEFAULT 0,
      started REAL,
      finished REAL,
      seconds REAL,
      peak_memory_bytes INTEGER,
      epochs_planned INTEGER NOT NULL,
      spec TEXT NOT NULL,
      environment TEXT NOT NULL DEFAULT '{}'
    ) WITHOUT ROWID;
    CREATE TABLE members (
      study INTEGER NOT NULL REFERENCES studies(id),
      arm TEXT NOT NULL,
      seed INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id),
      PRIMARY KEY (study, arm, seed)
    ) WITHOUT ROWID;
    CREATE TABLE epochs (
      run TEXT NOT NULL REFERENCES runs(id),
      epoch INTEGER NOT NULL,
      train_loss REAL, train_accuracy REAL,
      validation_loss REAL, validation_accuracy REAL,
      running_loss REAL, running_accuracy REAL,
      learning_rate REAL, seconds REAL,
      PRIMARY KEY (run, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE artifacts (
      run TEXT NOT NULL REFERENCES runs(id),
      kind TEXT NOT NULL,
      path TEXT NOT NULL,
      sha256 TEXT NOT NULL,
      bytes INTEGER NOT NULL,
      PRIMARY KEY (run, kind)
    ) WITHOUT ROWID;
    CREATE TABLE test_scores (
      run TEXT PRIMARY KEY REFERENCES runs(id),
      loss REAL NOT NULL,
      accuracy REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE looks (
      id INTEGER PRIMARY KEY,
      study INTEGER NOT NULL REFERENCES studies(id),
      time REAL NOT NULL,
      num_runs INTEGER NOT NULL,
      num_new INTEGER NOT NULL
    );
    CREATE TABLE events (
      id INTEGER PRIMARY KEY,
      time REAL NOT NULL,
      study TEXT NOT NULL,
      kind TEXT NOT NULL,
      detail TEXT NOT NULL DEFAULT '{}'
    );
    """,
    # Which epoch's weights a run kept; folds (from 1, 0 where a run is no fold) as members of a study; runs that
    # train a study's arm again, on training and validation images.
    """
    ALTER TABLE runs ADD COLUMN kept_epoch INTEGER;
    CREATE TABLE folded_members (
      study INTEGER NOT NULL REFERENCES studies(id),
      arm TEXT NOT NULL,
      seed INTEGER NOT NULL,
      fold INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id),
      PRIMARY KEY (study, arm, seed, fold)
    ) WITHOUT ROWID;
    INSERT INTO folded_members SELECT study, arm, seed, 0, run FROM members;
    DROP TABLE members;
    ALTER TABLE folded_members RENAME TO members;
    CREATE TABLE retrained (
      study INTEGER NOT NULL REFERENCES studies(id),
      arm TEXT NOT NULL,
      seed INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id),
      PRIMARY KEY (study, arm, seed)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE epochs ADD COLUMN health TEXT;
    ALTER TABLE test_scores ADD COLUMN hits BLOB;
    """,
    # Searches: what was measured when one began, every candidate that was drawn (trial is NULL where it was rejected
    # before training), and the runs that its trials are made of.
    """
    CREATE TABLE searches (
      study INTEGER PRIMARY KEY REFERENCES studies(id),
      facts TEXT NOT NULL
    );
    CREATE TABLE candidates (
      study INTEGER NOT NULL REFERENCES studies(id),
      number INTEGER NOT NULL,
      trial INTEGER,
      chosen TEXT NOT NULL,
      costs TEXT NOT NULL,
      reason TEXT NOT NULL,
      PRIMARY KEY (study, number)
    ) WITHOUT ROWID;
    CREATE TABLE trial_runs (
      study INTEGER NOT NULL REFERENCES studies(id),
      trial INTEGER NOT NULL,
      seed INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id),
      PRIMARY KEY (study, trial, seed)
    ) WITHOUT ROWID;
    """,
    # Which looks were at runs of an arm trained again, and so at no run of the study. An earlier look was, where such
    # training came between it and the look before, of no fewer runs than it showed; and where such a run has a score,
    # or else no run of the study has one.
    """
    ALTER TABLE looks ADD COLUMN is_of_retrained INTEGER NOT NULL DEFAULT 0;
    UPDATE looks SET is_of_retrained = 1 WHERE EXISTS (
      SELECT 1 FROM events JOIN studies ON studies.name = events.study
      WHERE studies.id = looks.study AND events.kind = 'retraining' AND events.time <= looks.time
        AND NOT EXISTS (
          SELECT 1 FROM looks AS earlier
          WHERE earlier.study = looks.study AND earlier.id < looks.id AND earlier.time >= events.time
        )
        AND json_extract(events.detail, '$.runs') >= looks.num_runs
    ) AND (
      EXISTS (
        SELECT 1 FROM retrained JOIN test_scores ON test_scores.run = retrained.run
        WHERE retrained.study = looks.study
      )
      OR NOT EXISTS (
        SELECT 1 FROM members JOIN test_scores ON test_scores.run = members.run WHERE members.study = looks.study
      )
    );
    """,
    # Every look at a study's verdicts, which no change of the study removes. For each finished run its validation
    # images (each set of them is stored once) and which of these its kept network gets right, as bits.
    """
    CREATE TABLE verdict_looks (
      study INTEGER NOT NULL REFERENCES studies(id),
      number INTEGER NOT NULL,
      time REAL NOT NULL,
      planned INTEGER NOT NULL,
      seen TEXT NOT NULL,
      PRIMARY KEY (study, number)
    ) WITHOUT ROWID;
    CREATE TABLE image_sets (
      id TEXT PRIMARY KEY,
      images BLOB NOT NULL
    );
    CREATE TABLE validation_hits (
      run TEXT PRIMARY KEY REFERENCES runs(id),
      images TEXT NOT NULL REFERENCES image_sets(id),
      hits BLOB NOT NULL
    );
    """,
    # Of which data set a look at a test split was, and at which test images: what other studies looked at counts too.
    """
    ALTER TABLE looks ADD COLUMN content TEXT NOT NULL DEFAULT '';
    ALTER TABLE looks ADD COLUMN test_images TEXT NOT NULL DEFAULT '';
    UPDATE looks SET content = coalesce(
      (SELECT json_extract(data, '$.content') FROM studies WHERE studies.id = looks.study), ''
    );
    """,
    # A checksum in each row that evidence rests on (checksums.py): every later version keeps them, and a migration that
    # changes such rows gives them new ones. For runs another one, of what is read in brief. When a file of weights was
    # last changed: with its size it shows cheaply that the file is still the one that was written.
    """
    ALTER TABLE studies ADD COLUMN checksum INTEGER;
    ALTER TABLE arms ADD COLUMN checksum INTEGER;
    ALTER TABLE runs ADD COLUMN checksum INTEGER;
    ALTER TABLE members ADD COLUMN checksum INTEGER;
    ALTER TABLE retrained ADD COLUMN checksum INTEGER;
    ALTER TABLE searches ADD COLUMN checksum INTEGER;
    ALTER TABLE candidates ADD COLUMN checksum INTEGER;
    ALTER TABLE trial_runs ADD COLUMN checksum INTEGER;
    ALTER TABLE epochs ADD COLUMN checksum INTEGER;
    ALTER TABLE artifacts ADD COLUMN checksum INTEGER;
    ALTER TABLE test_scores ADD COLUMN checksum INTEGER;
    ALTER TABLE looks ADD COLUMN checksum INTEGER;
    ALTER TABLE verdict_looks ADD COLUMN checksum INTEGER;
    ALTER TABLE image_sets ADD COLUMN checksum INTEGER;
    ALTER TABLE validation_hits ADD COLUMN checksum INTEGER;
    ALTER TABLE runs ADD COLUMN brief INTEGER;
    ALTER TABLE artifacts ADD COLUMN modified_ns INTEGER;
    DROP INDEX IF EXISTS runs_in_brief;
    UPDATE studies SET checksum = row_checksum(id, CAST(name AS BLOB), CAST(question AS BLOB), CAST(spec AS BLOB),
      CAST(data AS BLOB), created, updated);
    UPDATE arms SET checksum = row_checksum(study, CAST(name AS BLOB), position, CAST(levels AS BLOB), CAST(spec AS
      BLOB));
    UPDATE runs SET brief = row_checksum(CAST(id AS BLOB), CAST(state AS BLOB), kept_epoch, epochs_planned);
    UPDATE runs SET checksum = row_checksum(CAST(id AS BLOB), seed, CAST(state AS BLOB), CAST(reason AS BLOB),
      CAST(advice AS BLOB), attempts, started, finished, seconds, peak_memory_bytes, epochs_planned, CAST(spec AS
      BLOB), CAST(environment AS BLOB), kept_epoch);
    UPDATE members SET checksum = row_checksum(study, CAST(arm AS BLOB), seed, fold, CAST(run AS BLOB));
    UPDATE retrained SET checksum = row_checksum(study, CAST(arm AS BLOB), seed, CAST(run AS BLOB));
    UPDATE searches SET checksum = row_checksum(study, CAST(facts AS BLOB));
    UPDATE candidates SET checksum = row_checksum(study, number, trial, CAST(chosen AS BLOB), CAST(costs AS BLOB),
      CAST(reason AS BLOB));
    UPDATE trial_runs SET checksum = row_checksum(study, trial, seed, CAST(run AS BLOB));
    UPDATE epochs SET checksum = row_checksum(CAST(run AS BLOB), epoch, train_loss, train_accuracy, validation_loss,
      validation_accuracy, running_loss, running_accuracy, learning_rate, seconds, CAST(health AS BLOB));
    UPDATE artifacts SET checksum = row_checksum(CAST(run AS BLOB), CAST(kind AS BLOB), CAST(path AS BLOB),
      CAST(sha256 AS BLOB), bytes);
    UPDATE test_scores SET checksum = row_checksum(CAST(run AS BLOB), loss, accuracy, CAST(hits AS BLOB));
    UPDATE looks SET checksum = row_checksum(id, study, time, num_runs, num_new, is_of_retrained, CAST(content AS
      BLOB), CAST(test_images AS BLOB));
    UPDATE verdict_looks SET checksum = row_checksum(study, number, time, planned, CAST(seen AS BLOB));
    UPDATE image_sets SET checksum = row_checksum(CAST(id AS BLOB), CAST(images AS BLOB));
    UPDATE validation_hits SET checksum = row_checksum(CAST(run AS BLOB), CAST(images AS BLOB), CAST(hits AS BLOB));
    """,
    # For each finished run what its kept network says of its validation images, and of the test images once they are
    # revealed: logarithms of probabilities as compressed float16, so that any measure can be computed from them. Each
    # set of labels and groups is stored once. Of each epoch, measures that training or a search goes by.
    """
    CREATE TABLE label_sets (
      id TEXT PRIMARY KEY,
      labels BLOB NOT NULL,
      groups BLOB,
      checksum INTEGER
    );
    CREATE TABLE predictions (
      run TEXT NOT NULL REFERENCES runs(id),
      split TEXT NOT NULL,
      images TEXT NOT NULL,
      label_set TEXT NOT NULL REFERENCES label_sets(id),
      num_classes INTEGER NOT NULL,
      logs BLOB NOT NULL,
      checksum INTEGER,
      PRIMARY KEY (run, split)
    );
    ALTER TABLE epochs ADD COLUMN measures TEXT;
    UPDATE epochs SET checksum = row_checksum(CAST(run AS BLOB), epoch, train_loss, train_accuracy, validation_loss,
      validation_accuracy, running_loss, running_accuracy, learning_rate, seconds, CAST(health AS BLOB),
      CAST(measures AS BLOB));
    """,
    # What verdicts need of the runs of a large study, as one value (summaries.py). It says what the rows said that it
    # was made of, and so goes when one of them changes, whichever program changes it.
    """
    CREATE TABLE summaries (
      study INTEGER PRIMARY KEY REFERENCES studies(id),
      content BLOB NOT NULL
    );
    """
    + "".join(
        f"CREATE TRIGGER {table}_{event.lower()}_outdates AFTER {event} ON {table} BEGIN DELETE FROM summaries; END;\n"
        for table in ("members", "runs", "epochs", "test_scores", "looks", "image_sets", "validation_hits")
        for event in ("INSERT", "UPDATE", "DELETE")
    ),
)


# What only makes reading faster is no change of the schema: any version may lack it. A run's row is long; its state is
# asked for often.
IN_BRIEF = "runs_in_brief"
INDEXES = f"CREATE INDEX IF NOT EXISTS {IN_BRIEF} ON runs (id, state, kept_epoch, epochs_planned, brief);"


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(connection: sqlite3.Connection, path: str) -> None:
    """Raise StoreTooNew where a later Assay has changed the tables, StoreError where the number is none of Assay's."""
    schema = version(connection)
    if schema < 0:
        what, fix = f"the store's database is damaged (schema {schema})", "restore it from a backup"
        raise StoreError(Problem(what, fix, file=path))
    if schema > len(MIGRATIONS):
        raise StoreTooNew(
            Problem(
                f"the store has schema {schema}, this version of Assay knows up to {len(MIGRATIONS)}",
                "upgrade Assay or use another --store",
                file=path,
            )
        )


def migrate(connection: sqlite3.Connection, path: str, *, up_to: int = len(MIGRATIONS)) -> None:
    """Bring an older store up to this version, or to an earlier one, one step at a time, each whole or not at all."""
    refuse_newer(connection, path)
    for number in range(version(connection), up_to):
        connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")
    if up_to == len(MIGRATIONS):
        connection.executescript(INDEXES)
