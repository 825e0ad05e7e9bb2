BEGIN TRANSACTION;
CREATE TABLE alembic_version_inbox (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_inbox_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version_inbox" VALUES('inbox_0001');
CREATE TABLE inbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	received_at BIGINT NOT NULL, 
	source VARCHAR NOT NULL, 
	trusted BOOLEAN NOT NULL, 
	path VARCHAR NOT NULL, 
	body BLOB NOT NULL
);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('inbox',1);
COMMIT;
