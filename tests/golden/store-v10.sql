BEGIN TRANSACTION;
CREATE TABLE arms (
      study INTEGER NOT NULL REFERENCES studies(id),
      name TEXT NOT NULL,
      position INTEGER NOT NULL,
      levels TEXT NOT NULL,
      spec TEXT NOT NULL, checksum INTEGER,
      PRIMARY KEY (study, name)
    ) WITHOUT ROWID;
INSERT INTO "arms" VALUES(1,'a',0,'{"x": "1"}','{}',640216913);
INSERT INTO "arms" VALUES(1,'b',1,'{"x": "2"}','{}',2642198719);
CREATE TABLE artifacts (
      run TEXT NOT NULL REFERENCES runs(id),
      kind TEXT NOT NULL,
      path TEXT NOT NULL,
      sha256 TEXT NOT NULL,
      bytes INTEGER NOT NULL, checksum INTEGER, modified_ns INTEGER,
      PRIMARY KEY (run, kind)
    ) WITHOUT ROWID;
INSERT INTO "artifacts" VALUES('a-0','weights','w','hash',1,2320802125,NULL);
CREATE TABLE candidates (
      study INTEGER NOT NULL REFERENCES studies(id),
      number INTEGER NOT NULL,
      trial INTEGER,
      chosen TEXT NOT NULL,
      costs TEXT NOT NULL,
      reason TEXT NOT NULL, checksum INTEGER,
      PRIMARY KEY (study, number)
    ) WITHOUT ROWID;
INSERT INTO "candidates" VALUES(2,1,1,'{"x": "1"}','{"parameters": 10, "flops": 20}','',2056510622);
INSERT INTO "candidates" VALUES(2,2,NULL,'{"x": "2"}','{"parameters": 99, "flops": 20}','99 parameters, above 50',3728026874);
CREATE TABLE epochs (
      run TEXT NOT NULL REFERENCES runs(id),
      epoch INTEGER NOT NULL,
      train_loss REAL, train_accuracy REAL,
      validation_loss REAL, validation_accuracy REAL,
      running_loss REAL, running_accuracy REAL,
      learning_rate REAL, seconds REAL, health TEXT, checksum INTEGER, measures TEXT,
      PRIMARY KEY (run, epoch)
    ) WITHOUT ROWID;
INSERT INTO "epochs" VALUES('a-0',1,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5,NULL,2417176094,NULL);
INSERT INTO "epochs" VALUES('a-0',2,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5,'{"images": 4, "dead": {"conv1": 0.5}, "saturated": {}, "predicted": [4, 0], "actual": [2, 2]}',2077543004,'{"macro_auc": 0.9}');
INSERT INTO "epochs" VALUES('x-0',1,0.5,0.8,0.4,0.95,0.6,0.7,0.001,1.5,NULL,2212804321,NULL);
CREATE TABLE events (
      id INTEGER PRIMARY KEY,
      time REAL NOT NULL,
      study TEXT NOT NULL,
      kind TEXT NOT NULL,
      detail TEXT NOT NULL DEFAULT '{}'
    );
INSERT INTO "events" VALUES(1,1.79605780285409235954e+09,'golden','planned','{"runs": 4}');
INSERT INTO "events" VALUES(2,1.79605780285470199584e+09,'golden','started','{"run": "a-0"}');
INSERT INTO "events" VALUES(3,1.79605780285600972177e+09,'golden','finished','{"run": "a-0"}');
INSERT INTO "events" VALUES(4,1.79605780285619139676e+09,'golden','started','{"run": "a-1"}');
INSERT INTO "events" VALUES(5,1.79605780285632681851e+09,'golden','failed','{"run": "a-1", "state": "diverged", "reason": "it grew"}');
INSERT INTO "events" VALUES(6,1.79605780285649418827e+09,'golden','retraining','{"runs": 1}');
INSERT INTO "events" VALUES(7,1.79605780285669231408e+09,'searched','search begun','{"optuna": "5.0.0"}');
INSERT INTO "events" VALUES(8,1.79605780285685014728e+09,'searched','proposed','{"candidates": 2}');
INSERT INTO "events" VALUES(9,1.79605780285701012609e+09,'searched','training trials','{"runs": 1}');
INSERT INTO "events" VALUES(10,1.79605780285710883142e+09,'searched','started','{"run": "x-0"}');
INSERT INTO "events" VALUES(11,1.79605780285753774644e+09,'golden','revealed','{"runs": 1, "new": 1}');
CREATE TABLE image_sets (
      id TEXT PRIMARY KEY,
      images BLOB NOT NULL
    , checksum INTEGER);
INSERT INTO "image_sets" VALUES('training:a417aa4975c55a9b975ccd869a644459',X'4848',1468742936);
CREATE TABLE label_sets (
      id TEXT PRIMARY KEY,
      labels BLOB NOT NULL,
      groups BLOB,
      checksum INTEGER
    );
INSERT INTO "label_sets" VALUES('6bec8979ad20b25dfa2934791863bb2b',X'00000000000000000100000000000000',X'00000000010000000000000001000000',4062655788);
CREATE TABLE looks (
      id INTEGER PRIMARY KEY,
      study INTEGER NOT NULL REFERENCES studies(id),
      time REAL NOT NULL,
      num_runs INTEGER NOT NULL,
      num_new INTEGER NOT NULL
    , is_of_retrained INTEGER NOT NULL DEFAULT 0, content TEXT NOT NULL DEFAULT '', test_images TEXT NOT NULL DEFAULT '', checksum INTEGER);
INSERT INTO "looks" VALUES(1,1,1.79605780285745668411e+09,1,1,0,'','images',1120413687);
CREATE TABLE "members" (
      study INTEGER NOT NULL REFERENCES studies(id),
      arm TEXT NOT NULL,
      seed INTEGER NOT NULL,
      fold INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id), checksum INTEGER,
      PRIMARY KEY (study, arm, seed, fold)
    ) WITHOUT ROWID;
INSERT INTO "members" VALUES(1,'a',0,0,'a-0',1073941709);
INSERT INTO "members" VALUES(1,'a',1,0,'a-1',2725570766);
INSERT INTO "members" VALUES(1,'b',0,0,'b-0',903569508);
INSERT INTO "members" VALUES(1,'b',1,0,'b-1',3618407527);
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
INSERT INTO "predictions" VALUES('a-0','validation','training:a417aa4975c55a9b975ccd869a644459','6bec8979ad20b25dfa2934791863bb2b',2,X'789CEBD9D9B3B367EFAC2D9A07DC36CCDAD2B3170051B00998',2514863467);
INSERT INTO "predictions" VALUES('a-0','test','','6bec8979ad20b25dfa2934791863bb2b',2,X'789CEBD9D9B3B367EFAC2D9A07DC36CCDAD2B3170051B00998',322574869);
CREATE TABLE retrained (
      study INTEGER NOT NULL REFERENCES studies(id),
      arm TEXT NOT NULL,
      seed INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id), checksum INTEGER,
      PRIMARY KEY (study, arm, seed)
    ) WITHOUT ROWID;
INSERT INTO "retrained" VALUES(1,'a',0,'a-0-on-all',1639152202);
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
    , kept_epoch INTEGER, checksum INTEGER, brief INTEGER) WITHOUT ROWID;
INSERT INTO "runs" VALUES('a-0',0,'finished','','',1,1.79605780285453629492e+09,1.79605780285560941698e+09,3.0,1,2,'{"seed": 0}','{"threads": 1}',2,1463017429,2499884663);
INSERT INTO "runs" VALUES('a-0-on-all',0,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 0}','{}',NULL,3720392237,2464247557);
INSERT INTO "runs" VALUES('a-1',1,'diverged','it grew','shrink it',1,1.79605780285615587235e+09,1.79605780285624551774e+09,NULL,NULL,2,'{"seed": 1}','{"threads": 1}',NULL,1114737035,159794500);
INSERT INTO "runs" VALUES('b-0',0,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 0}','{}',NULL,827671881,3431092623);
INSERT INTO "runs" VALUES('b-1',1,'queued','','',0,NULL,NULL,NULL,NULL,2,'{"seed": 1}','{}',NULL,68804979,1970899559);
INSERT INTO "runs" VALUES('x-0',0,'paused','','',1,1.79605780285708236691e+09,NULL,1.5,NULL,3,'{"seed": 0}','{"threads": 1}',NULL,4086168165,3584380562);
CREATE TABLE searches (
      study INTEGER PRIMARY KEY REFERENCES studies(id),
      facts TEXT NOT NULL
    , checksum INTEGER);
INSERT INTO "searches" VALUES(2,'{"optuna": "5.0.0"}',1281654257);
CREATE TABLE studies (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      question TEXT NOT NULL,
      spec TEXT NOT NULL,
      data TEXT NOT NULL,
      created REAL NOT NULL,
      updated REAL NOT NULL
    , checksum INTEGER);
INSERT INTO "studies" VALUES(1,'golden','Is it so?','{"name": "golden"}','{"name": "digits"}',1.79605780284923815725e+09,1.79605780284923815725e+09,2687012771);
INSERT INTO "studies" VALUES(2,'searched','Which?','{"name": "searched", "search": {"space": {"x": [1, 2]}}}','{"name": "digits"}',1.79605780285656905169e+09,1.79605780285698032384e+09,586337612);
CREATE TABLE summaries (
      study INTEGER PRIMARY KEY REFERENCES studies(id),
      content BLOB NOT NULL
    );
CREATE TABLE test_scores (
      run TEXT PRIMARY KEY REFERENCES runs(id),
      loss REAL NOT NULL,
      accuracy REAL NOT NULL
    , hits BLOB, checksum INTEGER) WITHOUT ROWID;
INSERT INTO "test_scores" VALUES('a-0',0.1,0.97,X'A0',1669185189);
CREATE TABLE trial_runs (
      study INTEGER NOT NULL REFERENCES studies(id),
      trial INTEGER NOT NULL,
      seed INTEGER NOT NULL,
      run TEXT NOT NULL REFERENCES runs(id), checksum INTEGER,
      PRIMARY KEY (study, trial, seed)
    ) WITHOUT ROWID;
INSERT INTO "trial_runs" VALUES(2,1,0,'x-0',1412538239);
CREATE TABLE validation_hits (
      run TEXT PRIMARY KEY REFERENCES runs(id),
      images TEXT NOT NULL REFERENCES image_sets(id),
      hits BLOB NOT NULL
    , checksum INTEGER);
INSERT INTO "validation_hits" VALUES('a-0','training:a417aa4975c55a9b975ccd869a644459',X'B0',1329788675);
CREATE TABLE verdict_looks (
      study INTEGER NOT NULL REFERENCES studies(id),
      number INTEGER NOT NULL,
      time REAL NOT NULL,
      planned INTEGER NOT NULL,
      seen TEXT NOT NULL, checksum INTEGER,
      PRIMARY KEY (study, number)
    ) WITHOUT ROWID;
INSERT INTO "verdict_looks" VALUES(1,1,1800000000.0,10,'{"contrasts": {"b": [0, 1]}}',1687992051);
CREATE TRIGGER members_insert_outdates AFTER INSERT ON members BEGIN DELETE FROM summaries; END;
CREATE TRIGGER members_update_outdates AFTER UPDATE ON members BEGIN DELETE FROM summaries; END;
CREATE TRIGGER members_delete_outdates AFTER DELETE ON members BEGIN DELETE FROM summaries; END;
CREATE TRIGGER runs_insert_outdates AFTER INSERT ON runs BEGIN DELETE FROM summaries; END;
CREATE TRIGGER runs_update_outdates AFTER UPDATE ON runs BEGIN DELETE FROM summaries; END;
CREATE TRIGGER runs_delete_outdates AFTER DELETE ON runs BEGIN DELETE FROM summaries; END;
CREATE TRIGGER epochs_insert_outdates AFTER INSERT ON epochs BEGIN DELETE FROM summaries; END;
CREATE TRIGGER epochs_update_outdates AFTER UPDATE ON epochs BEGIN DELETE FROM summaries; END;
CREATE TRIGGER epochs_delete_outdates AFTER DELETE ON epochs BEGIN DELETE FROM summaries; END;
CREATE TRIGGER test_scores_insert_outdates AFTER INSERT ON test_scores BEGIN DELETE FROM summaries; END;
CREATE TRIGGER test_scores_update_outdates AFTER UPDATE ON test_scores BEGIN DELETE FROM summaries; END;
CREATE TRIGGER test_scores_delete_outdates AFTER DELETE ON test_scores BEGIN DELETE FROM summaries; END;
CREATE TRIGGER looks_insert_outdates AFTER INSERT ON looks BEGIN DELETE FROM summaries; END;
CREATE TRIGGER looks_update_outdates AFTER UPDATE ON looks BEGIN DELETE FROM summaries; END;
CREATE TRIGGER looks_delete_outdates AFTER DELETE ON looks BEGIN DELETE FROM summaries; END;
CREATE TRIGGER image_sets_insert_outdates AFTER INSERT ON image_sets BEGIN DELETE FROM summaries; END;
CREATE TRIGGER image_sets_update_outdates AFTER UPDATE ON image_sets BEGIN DELETE FROM summaries; END;
CREATE TRIGGER image_sets_delete_outdates AFTER DELETE ON image_sets BEGIN DELETE FROM summaries; END;
CREATE TRIGGER validation_hits_insert_outdates AFTER INSERT ON validation_hits BEGIN DELETE FROM summaries; END;
CREATE TRIGGER validation_hits_update_outdates AFTER UPDATE ON validation_hits BEGIN DELETE FROM summaries; END;
CREATE TRIGGER validation_hits_delete_outdates AFTER DELETE ON validation_hits BEGIN DELETE FROM summaries; END;
CREATE INDEX runs_in_brief ON runs (id, state, kept_epoch, epochs_planned, brief);
COMMIT;
PRAGMA user_version = 10;
