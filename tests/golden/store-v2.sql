BEGIN TRANSACTION;
CREATE TABLE arms (
      study INTEGER NOT NULL REFERENCES studies(id),
      name TEXT NOT NULL,
      position INTEGER NOT NULL,
      levels TEXT NOT NULL,
      spec TEXT NOT NULL,
      PRIMARY KEY (study, name)
    ) WITHOUT ROWID;
INSERT INTO "arms" VALUES(1,'a',0,'{"x": "1"}','{}');
INSERT INTO "arms" VALUES(1,'b',1,'{"x": "2"}','{}');
CREATE TABLE artifacts (
      run TEXT NOT NULL REFERENCES runs(id),
      kind TEXT NOT NULL,
      path TEXT NOT NULL,
      sha256 TEXT NOT NULL,
      bytes INTEGER NOT NULL,
      PRIMARY KEY (run, kind)
    ) WITHOUT ROWID;
INSERT INTO "artifacts" VALUES('a-0','weights','w','hash',1);
CREATE TABLE epochs (
      run TEXT NOT NULL REFERENCES runs(id),
      epoch INTEGER NOT NULL,
      train_loss REAL, train_accuracy REAL,
      validation_loss REAL, validation_accuracy REAL,
      running_loss REAL, running_accuracy REAL,
      learning_rate REAL, seconds REAL,
      PRIMARY KEY (run, epoch)
    ) WITHOUT ROWID;
INSERT INTO "epochs" VALUES('a-0',1,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5);
INSERT INTO "epochs" VALUES('a-0',2,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5);
CREATE TABLE events (
      id INTEGER PRIMARY KEY,
      time REAL NOT NULL,
      study TEXT NOT NULL,
      kind TEXT NOT NULL,
      detail TEXT NOT NULL DEFAULT '{}'
    );
INSERT INTO "events" VALUES(1,1.79516986149077224736e+09,'golden','planned','{"runs": 4}');
INSERT INTO "events" VALUES(2,1.79516986149085283281e+09,'golden','started','{"run": "a-0"}');
INSERT INTO "events" VALUES(3,1.79516986149093818667e+09,'golden','finished','{"run": "a-0"}');
INSERT INTO "events" VALUES(4,1.79516986149096918106e+09,'golden','started','{"run": "a-1"}');
INSERT INTO "events" VALUES(5,1.79516986149099850656e+09,'golden','failed','{"run": "a-1", "state": "diverged", "reason": "it grew"}');
INSERT INTO "events" VALUES(6,1.79516986149105072022e+09,'golden','retraining','{"runs": 1}');
INSERT INTO "events" VALUES(7,1.79516986149110174177e+09,'golden','revealed','{"runs": 1, "new": 1}');
CREATE TABLE looks (
      id INTEGER PRIMARY KEY,
      study INTEGER NOT NULL REFERENCES studies(id),
      time REAL NOT NULL,
      num_runs INTEGER NOT NULL,
      num_new INTEGER NOT NULL
    );
INSERT INTO "looks" VALUES(1,1,1.79516986149108767516e+09,1,1);
CREATE TABLE "members" (
      study INTEGER NOT NULL REFERENCES studies(id),
      arm TEXT NOT NULL,
      seed INTEGER NOT NULL,
      fold INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id),
      PRIMARY KEY (study, arm, seed, fold)
    ) WITHOUT ROWID;
INSERT INTO "members" VALUES(1,'a',0,0,'a-0');
INSERT INTO "members" VALUES(1,'a',1,0,'a-1');
INSERT INTO "members" VALUES(1,'b',0,0,'b-0');
INSERT INTO "members" VALUES(1,'b',1,0,'b-1');
CREATE TABLE retrained (
      study INTEGER NOT NULL REFERENCES studies(id),
      arm TEXT NOT NULL,
      seed INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id),
      PRIMARY KEY (study, arm, seed)
    ) WITHOUT ROWID;
INSERT INTO "retrained" VALUES(1,'a',0,'a-0-on-all');
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
    , kept_epoch INTEGER) WITHOUT ROWID;
INSERT INTO "runs" VALUES('a-0',0,'finished','','',1,1.79516986149083089823e+09,1.79516986149092650417e+09,3.0,1,2,'{"seed": 0}','{"threads": 1}',2);
INSERT INTO "runs" VALUES('a-0-on-all',0,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 0}','{}',NULL);
INSERT INTO "runs" VALUES('a-1',1,'diverged','it grew','shrink it',1,1.79516986149096441274e+09,1.79516986149098920822e+09,NULL,NULL,2,'{"seed": 1}','{"threads": 1}',NULL);
INSERT INTO "runs" VALUES('b-0',0,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 0}','{}',NULL);
INSERT INTO "runs" VALUES('b-1',1,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 1}','{}',NULL);
CREATE TABLE studies (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      question TEXT NOT NULL,
      spec TEXT NOT NULL,
      data TEXT NOT NULL,
      created REAL NOT NULL,
      updated REAL NOT NULL
    );
INSERT INTO "studies" VALUES(1,'golden','Is it so?','{"name": "golden"}','{"name": "digits"}',1.79516986149056339259e+09,1.79516986149056339259e+09);
CREATE TABLE test_scores (
      run TEXT PRIMARY KEY REFERENCES runs(id),
      loss REAL NOT NULL,
      accuracy REAL NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "test_scores" VALUES('a-0',0.1,0.97);
COMMIT;
PRAGMA user_version = 2;
