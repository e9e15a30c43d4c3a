PRAGMA journal_mode = WAL; -- readers and one writer do not wait for each other

CREATE TABLE IF NOT EXISTS users (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password TEXT NOT NULL -- argon2, with its salt and parameters
) STRICT;

CREATE TABLE IF NOT EXISTS sessions (
    token   BLOB PRIMARY KEY, -- a hash: whoever reads this table cannot log in with it
    user    INTEGER NOT NULL REFERENCES users (id),
    started INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE IF NOT EXISTS photos (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner      INTEGER NOT NULL REFERENCES users (id),
    name       TEXT NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    thumbnail  BLOB NOT NULL,
    photo      BLOB NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS photos_by_owner ON photos (owner);

CREATE TABLE IF NOT EXISTS notes (
    photo       INTEGER PRIMARY KEY REFERENCES photos (id),
    description TEXT NOT NULL DEFAULT '',
    tags        TEXT NOT NULL DEFAULT '[]' -- a JSON array of texts
) STRICT;

CREATE TABLE IF NOT EXISTS scripts (
    owner  INTEGER PRIMARY KEY REFERENCES users (id),
    source TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS copies (
    photo INTEGER NOT NULL REFERENCES photos (id),
    width INTEGER NOT NULL,
    copy  BLOB NOT NULL,
    PRIMARY KEY (photo, width)
) STRICT;

CREATE TABLE IF NOT EXISTS makers (
    photo INTEGER PRIMARY KEY REFERENCES photos (id),
    host  TEXT NOT NULL, -- where its thumbnail was made, if by another process
    pid   INTEGER NOT NULL
) STRICT;
