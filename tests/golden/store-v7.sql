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
CREATE TABLE candidates (
      study INTEGER NOT NULL REFERENCES studies(id),
      number INTEGER NOT NULL,
      trial INTEGER,
      chosen TEXT NOT NULL,
      costs TEXT NOT NULL,
      reason TEXT NOT NULL,
      PRIMARY KEY (study, number)
    ) WITHOUT ROWID;
INSERT INTO "candidates" VALUES(2,1,1,'{"x": "1"}','{"parameters": 10, "flops": 20}','');
INSERT INTO "candidates" VALUES(2,2,NULL,'{"x": "2"}','{"parameters": 99, "flops": 20}','99 parameters, above 50');
CREATE TABLE epochs (
      run TEXT NOT NULL REFERENCES runs(id),
      epoch INTEGER NOT NULL,
      train_loss REAL, train_accuracy REAL,
      validation_loss REAL, validation_accuracy REAL,
      running_loss REAL, running_accuracy REAL,
      learning_rate REAL, seconds REAL, health TEXT,
      PRIMARY KEY (run, epoch)
    ) WITHOUT ROWID;
INSERT INTO "epochs" VALUES('a-0',1,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5,NULL);
INSERT INTO "epochs" VALUES('a-0',2,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5,'{"images": 4, "dead": {"conv1": 0.5}, "saturated": {}, "predicted": [4, 0], "actual": [2, 2]}');
INSERT INTO "epochs" VALUES('x-0',1,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5,NULL);
CREATE TABLE events (
      id INTEGER PRIMARY KEY,
      time REAL NOT NULL,
      study TEXT NOT NULL,
      kind TEXT NOT NULL,
      detail TEXT NOT NULL DEFAULT '{}'
    );
INSERT INTO "events" VALUES(1,1.7960007602926437855e+09,'golden','planned','{"runs": 4}');
INSERT INTO "events" VALUES(2,1.79600076029281735413e+09,'golden','started','{"run": "a-0"}');
INSERT INTO "events" VALUES(3,1.79600076029335665702e+09,'golden','finished','{"run": "a-0"}');
INSERT INTO "events" VALUES(4,1.79600076029348349566e+09,'golden','started','{"run": "a-1"}');
INSERT INTO "events" VALUES(5,1.7960007602935664654e+09,'golden','failed','{"run": "a-1", "state": "diverged", "reason": "it grew"}');
INSERT INTO "events" VALUES(6,1.79600076029369759558e+09,'golden','retraining','{"runs": 1}');
INSERT INTO "events" VALUES(7,1.79600076029383063313e+09,'searched','search begun','{"optuna": "5.0.0"}');
INSERT INTO "events" VALUES(8,1796000760.29399,'searched','proposed','{"candidates": 2}');
INSERT INTO "events" VALUES(9,1.79600076029407262805e+09,'searched','training trials','{"runs": 1}');
INSERT INTO "events" VALUES(10,1.7960007602941279411e+09,'searched','started','{"run": "x-0"}');
INSERT INTO "events" VALUES(11,1.79600076029430818559e+09,'golden','revealed','{"runs": 1, "new": 1}');
CREATE TABLE image_sets (
      id TEXT PRIMARY KEY,
      images BLOB NOT NULL
    );
INSERT INTO "image_sets" VALUES('training:a417aa4975c55a9b975ccd869a644459',X'4848');
CREATE TABLE looks (
      id INTEGER PRIMARY KEY,
      study INTEGER NOT NULL REFERENCES studies(id),
      time REAL NOT NULL,
      num_runs INTEGER NOT NULL,
      num_new INTEGER NOT NULL
    , is_of_retrained INTEGER NOT NULL DEFAULT 0, content TEXT NOT NULL DEFAULT '', test_images TEXT NOT NULL DEFAULT '');
INSERT INTO "looks" VALUES(1,1,1.79600076029427409177e+09,1,1,0,'','images');
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
INSERT INTO "runs" VALUES('a-0',0,'finished','','',1,1.79600076029277539247e+09,1.79600076029320788388e+09,3.0,1,2,'{"seed": 0}','{"threads": 1}',2);
INSERT INTO "runs" VALUES('a-0-on-all',0,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 0}','{}',NULL);
INSERT INTO "runs" VALUES('a-1',1,'diverged','it grew','shrink it',1,1.79600076029346704484e+09,1.79600076029352974894e+09,NULL,NULL,2,'{"seed": 1}','{"threads": 1}',NULL);
INSERT INTO "runs" VALUES('b-0',0,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 0}','{}',NULL);
INSERT INTO "runs" VALUES('b-1',1,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 1}','{}',NULL);
INSERT INTO "runs" VALUES('x-0',0,'paused','','',1,1.79600076029411959642e+09,NULL,1.5,NULL,3,'{"seed": 0}','{"threads": 1}',NULL);
CREATE TABLE searches (
      study INTEGER PRIMARY KEY REFERENCES studies(id),
      facts TEXT NOT NULL
    );
INSERT INTO "searches" VALUES(2,'{"optuna": "5.0.0"}');
CREATE TABLE studies (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      question TEXT NOT NULL,
      spec TEXT NOT NULL,
      data TEXT NOT NULL,
      created REAL NOT NULL,
      updated REAL NOT NULL
    );
INSERT INTO "studies" VALUES(1,'golden','Is it so?','{"name": "golden"}','{"name": "digits"}',1.79600076029239106179e+09,1.79600076029239106179e+09);
INSERT INTO "studies" VALUES(2,'searched','Which?','{"name": "searched", "search": {"space": {"x": [1, 2]}}}','{"name": "digits"}',1.79600076029375600814e+09,1.79600076029406023028e+09);
CREATE TABLE test_scores (
      run TEXT PRIMARY KEY REFERENCES runs(id),
      loss REAL NOT NULL,
      accuracy REAL NOT NULL
    , hits BLOB) WITHOUT ROWID;
INSERT INTO "test_scores" VALUES('a-0',0.1,0.97,X'A0');
CREATE TABLE trial_runs (
      study INTEGER NOT NULL REFERENCES studies(id),
      trial INTEGER NOT NULL,
      seed INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id),
      PRIMARY KEY (study, trial, seed)
    ) WITHOUT ROWID;
INSERT INTO "trial_runs" VALUES(2,1,0,'x-0');
CREATE TABLE validation_hits (
      run TEXT PRIMARY KEY REFERENCES runs(id),
      images TEXT NOT NULL REFERENCES image_sets(id),
      hits BLOB NOT NULL
    );
INSERT INTO "validation_hits" VALUES('a-0','training:a417aa4975c55a9b975ccd869a644459',X'B0');
CREATE TABLE verdict_looks (
      study INTEGER NOT NULL REFERENCES studies(id),
      number INTEGER NOT NULL,
      time REAL NOT NULL,
      planned INTEGER NOT NULL,
      seen TEXT NOT NULL,
      PRIMARY KEY (study, number)
    ) WITHOUT ROWID;
INSERT INTO "verdict_looks" VALUES(1,1,1800000000.0,10,'{"contrasts": {"b": [0, 1]}}');
CREATE INDEX runs_in_brief ON runs (id, state, kept_epoch, epochs_planned);
COMMIT;
PRAGMA user_version = 7;
