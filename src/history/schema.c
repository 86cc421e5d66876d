/* SPDX-License-Identifier: MIT */

/*
 * A save is a row for good; what came to serve of it is a generation, whose number may come to
 * serve again and again: after a restart, a rollback, a crash of a later one. What served when is
 * in `serving`. Events are kept as they were told, so that nothing that is told is lost because
 * nobody made a column for it.
 */

#include "history/schema.h"

const char schema_sql[] =
	"CREATE TABLE session("           /* one run of the server */
	"  id INTEGER PRIMARY KEY,"
	"  started INTEGER NOT NULL,"
	"  ended INTEGER,"                /* NULL: it runs, or was killed */
	"  version TEXT NOT NULL);"
	"CREATE TABLE save("
	"  id INTEGER PRIMARY KEY,"
	"  deployment TEXT NOT NULL,"
	"  at INTEGER NOT NULL,"          /* when it had ended */
	"  session INTEGER NOT NULL,"
	"  build INTEGER NOT NULL,"
	"  outcome TEXT NOT NULL,"
	"  generation INTEGER NOT NULL,"  /* that served then; 0: none */
	"  took_us INTEGER NOT NULL,"
	"  reason TEXT);"
	"CREATE INDEX save_of ON save(deployment, id);"
	"CREATE TABLE generation("
	"  deployment TEXT NOT NULL,"
	"  number INTEGER NOT NULL,"
	"  at INTEGER NOT NULL,"          /* when it served first */
	"  before INTEGER NOT NULL,"      /* that served then; 0: none */
	"  took_us INTEGER NOT NULL,"
	"  cached INTEGER NOT NULL,"
	"  compiler TEXT,"
	"  source TEXT, image TEXT, device TEXT, weights TEXT, libraries TEXT,"
	"  verdict TEXT, ratio REAL, low REAL, high REAL,"
	"  crashes INTEGER NOT NULL DEFAULT 0,"
	"  pinned INTEGER NOT NULL DEFAULT 0,"
	"  flags TEXT,"
	"  json TEXT,"                    /* its save.done */
	"  PRIMARY KEY(deployment, number)) WITHOUT ROWID;"
	"CREATE INDEX generation_at ON generation(at);"
	"CREATE TABLE serving("
	"  id INTEGER PRIMARY KEY,"
	"  deployment TEXT NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  since INTEGER NOT NULL,"
	"  until INTEGER,"                /* NULL: it still does, or the server was killed */
	"  why TEXT NOT NULL);"           /* the event that it began with */
	"CREATE INDEX serving_of ON serving(deployment, generation, since, until);"
	"CREATE TABLE event("
	"  id INTEGER PRIMARY KEY,"
	"  at INTEGER NOT NULL,"
	"  session INTEGER NOT NULL,"
	"  deployment TEXT NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  build INTEGER NOT NULL,"
	"  name TEXT NOT NULL,"
	"  json TEXT NOT NULL);"
	"CREATE INDEX event_of ON event(deployment, generation);"
	"CREATE INDEX event_build ON event(session, build);"
	"CREATE TABLE source("            /* the files that a generation was made of */
	"  deployment TEXT NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  path TEXT NOT NULL,"           /* from the root */
	"  hash TEXT NOT NULL,"
	"  PRIMARY KEY(deployment, generation, path)) WITHOUT ROWID;"
	"CREATE INDEX source_hash ON source(hash);"
	"CREATE TABLE content("           /* of those files, by hash; zlib's format */
	"  hash TEXT PRIMARY KEY,"
	"  size INTEGER NOT NULL,"
	"  packed BLOB NOT NULL) WITHOUT ROWID;";
