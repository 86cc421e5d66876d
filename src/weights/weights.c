/* SPDX-License-Identifier: MIT */

/*
 * Three things, each counted by the next: a content (one snapshot), known by the paths where
 * it was found last; a set, which is contents by name. Snapshots and indices are named by what
 * they hold, so to make one again does no harm, and a restart finds those that are there.
 */

#include "weights/weights.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "weights/files.h"
#include "weights/index.h"
#include "weights/snapshot.h"

/* A file's timestamp may lie before the write by a tick of the kernel's clock. */
#define TICK_NS (10 * NS_PER_MS)

struct content {
	LIST_ENTRY(content) entry;
	unsigned users;
	struct snapshot snapshot;
};

struct known {
	LIST_ENTRY(known) entry;
	char *path, *name;
	uint64_t read_ns; /* wall clock, before reading */
	struct file_look look;
	struct content *content;
};

struct set {
	struct weights_set face;
	LIST_ENTRY(set) entry;
	struct weights *weights;
	unsigned users;
	char *index, *error;
	struct content **contents;
	size_t n;
};

struct weights {
	uv_loop_t *loop;
	char *base, *directory;
	LIST_HEAD(, content) contents;
	LIST_HEAD(, known) known;
	LIST_HEAD(, set) sets;
	unsigned n_jobs;
	bool dirty;
};

struct part { /* of a job: one file */
	char *path, *name;
	struct file_look look; /* as the job began; zeros: there was none */
	uint64_t read_ns;
	struct content *content; /* known before, or made of `snapshot` afterwards */
	struct snapshot snapshot;
};

struct weights_job {
	uv_work_t work;
	struct weights *weights;
	atomic_bool cancelled;
	weights_done_fn done;
	void *context;
	struct part *parts;
	size_t n;
	struct hash hash;
	int error; /* of writing the index */
};

struct weights *weights_new(uv_loop_t *loop, const char *base, const char *directory)
{
	struct weights *w = xcalloc(1, sizeof(*w));

	w->loop = loop;
	w->base = xstrdup(base);
	w->directory = xstrdup(directory);
	w->dirty = true;
	return w;
}

/* Contents */

static void content_unref(struct content *c)
{
	if (--c->users)
		return;
	LIST_REMOVE(c, entry);
	snapshot_fini(&c->snapshot);
	free(c);
}

/* @snapshot is taken over. A reference of the caller's. */
static struct content *content_of(struct weights *w, struct snapshot *snapshot)
{
	struct content *c;

	LIST_FOREACH(c, &w->contents, entry) {
		if (!snapshot->error && !c->snapshot.error && hash_equal(c->snapshot.hash, snapshot->hash)) {
			snapshot_fini(snapshot);
			c->users++;
			return c;
		}
	}
	c = xcalloc(1, sizeof(*c));
	c->users = 1;
	c->snapshot = *snapshot;
	*snapshot = (struct snapshot){ .path = NULL };
	LIST_INSERT_HEAD(&w->contents, c, entry);
	return c;
}

static void forget(struct known *k)
{
	LIST_REMOVE(k, entry);
	content_unref(k->content);
	free(k->path);
	free(k->name);
	free(k);
}

static struct known *find_known(const struct weights *w, const struct weights_file *f)
{
	struct known *k;

	LIST_FOREACH(k, &w->known, entry)
		if (strcmp(k->path, f->path) == 0 && strcmp(k->name, f->name) == 0)
			return k;
	return NULL;
}

/* What the file is, borrowed, or NULL: it looks different, or its copy is gone. */
static struct content *known_content(const struct weights *w, const struct weights_file *f)
{
	struct known *k = find_known(w, f);
	struct file_look look;

	if (!k || file_look(f->path, &look) < 0 || memcmp(&look, &k->look, sizeof(look)) != 0 ||
	    look.changed_ns + TICK_NS >= k->read_ns)
		return NULL;
	if (k->content->snapshot.path && !file_exists(k->content->snapshot.path))
		return NULL;
	return k->content;
}

static void remember(struct weights *w, struct part *part)
{
	const struct weights_file f = { .path = part->path, .name = part->name };
	struct known *k = find_known(w, &f);

	if (k)
		forget(k);
	if (!part->content->snapshot.error || part->content->snapshot.lasting) {
		k = xcalloc(1, sizeof(*k));
		k->path = xstrdup(part->path);
		k->name = xstrdup(part->name);
		k->read_ns = part->read_ns;
		k->look = part->look;
		k->content = part->content;
		k->content->users++;
		LIST_INSERT_HEAD(&w->known, k, entry);
	}
}

struct weights *weights_free(struct weights *w)
{
	if (!w)
		return NULL;
	while (!LIST_EMPTY(&w->known))
		forget(LIST_FIRST(&w->known));
	free(w->directory);
	free(w->base);
	free(w);
	return NULL;
}

/* Sets */

static void add_to_hash(struct hash_state *state, const char *name, const struct snapshot *s)
{
	hash_state_add_string(state, name);
	hash_state_add_string(state, s->error ? s->error : "");
	if (s->lasting)
		hash_state_add(state, &s->hash, sizeof(s->hash));
}

static struct set *find_set(const struct weights *w, struct hash hash)
{
	struct set *s;

	LIST_FOREACH(s, &w->sets, entry)
		if (hash_equal(s->face.hash, hash))
			return s;
	return NULL;
}

char *weights_index_path(const char *directory, struct hash hash)
{
	char text[HASH_TEXT_SIZE];

	hash_text(hash, text);
	return xasprintf("%s/%s.index", directory, text);
}

static struct set *set_new(struct weights *w, struct hash hash, size_t n)
{
	struct set *s = xcalloc(1, sizeof(*s));

	s->weights = w;
	s->users = 1;
	s->contents = xcalloc(n + 1, sizeof(struct content *));
	s->n = n;
	s->face.hash = hash;
	LIST_INSERT_HEAD(&w->sets, s, entry);
	return s;
}

struct weights_set *weights_set_ref(struct weights_set *face)
{
	container_of(face, struct set, face)->users++;
	return face;
}

struct weights_set *weights_set_unref(struct weights_set *face)
{
	struct set *s = face ? container_of(face, struct set, face) : NULL;

	if (!s || --s->users)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		content_unref(s->contents[i]);
	LIST_REMOVE(s, entry);
	s->weights->dirty = true;
	free(s->contents);
	free(s->index);
	free(s->error);
	free(s);
	return NULL;
}

struct weights_set *weights_known(struct weights *w, const struct weights_files *files)
{
	struct hash_state *state;
	struct hash hash = { 0 };
	struct set *s;
	size_t i;

	if (!files->n) {
		s = find_set(w, hash);
		return s ? weights_set_ref(&s->face) : &set_new(w, hash, 0)->face;
	}
	state = hash_state_new();
	for (i = 0; i < files->n; i++) {
		struct content *c = known_content(w, &files->at[i]);

		if (!c)
			break;
		add_to_hash(state, files->at[i].name, &c->snapshot);
	}
	hash = hash_state_end(state);
	s = i == files->n ? find_set(w, hash) : NULL;
	return s && (!s->index || file_exists(s->index)) ? weights_set_ref(&s->face) : NULL;
}

/* Reading */

static const struct snapshot *snapshot_of(const struct part *p)
{
	return p->content ? &p->content->snapshot : &p->snapshot;
}

static int write_index(struct weights_job *job)
{
	struct index_source *sources = xcalloc(job->n, sizeof(*sources));
	_cleanup_free_ char *path = weights_index_path(job->weights->directory, job->hash);
	int r;

	for (size_t i = 0; i < job->n; i++) {
		const struct snapshot *s = snapshot_of(&job->parts[i]);

		sources[i] = (struct index_source){
			.name = job->parts[i].name, .snapshot = s->path, .size = s->size, .header = &s->header,
		};
	}
	r = index_write(path, sources, job->n);
	free(sources);
	return r;
}

/* Beside the loop: of @job alone, and of contents, which don't change. */
static void work(uv_work_t *request)
{
	struct weights_job *job = request->data;
	struct hash_state *state = hash_state_new();
	bool good = true;

	job->error = file_make_directories_from(job->weights->base, job->weights->directory);
	for (size_t i = 0; i < job->n; i++) {
		struct part *p = &job->parts[i];

		p->read_ns = clock_wall_ns();
		if (!p->content)
			snapshot_take(p->path, p->name, job->weights->directory, &job->cancelled, &p->snapshot);
		add_to_hash(state, p->name, snapshot_of(p));
		good &= !snapshot_of(p)->error;
	}
	job->hash = hash_state_end(state);
	if (good && !job->error && !atomic_load(&job->cancelled))
		job->error = write_index(job);
}

static void job_free(struct weights_job *job)
{
	job->weights->n_jobs--;
	for (size_t i = 0; i < job->n; i++) {
		if (job->parts[i].content)
			content_unref(job->parts[i].content);
		snapshot_fini(&job->parts[i].snapshot);
		free(job->parts[i].path);
		free(job->parts[i].name);
	}
	free(job->parts);
	free(job);
}

/* @job's parts have their contents. */
static struct weights_set *set_of(struct weights_job *job)
{
	struct weights *w = job->weights;
	struct set *s;

	if (job->error) /* not what the files are: the next look tries again */
		job->hash.low ^= (uint64_t)job->error;
	s = find_set(w, job->hash);
	if (s)
		return weights_set_ref(&s->face);
	s = set_new(w, job->hash, job->n);
	for (size_t i = 0; i < job->n; i++) {
		s->contents[i] = job->parts[i].content;
		s->contents[i]->users++;
		if (!s->error && s->contents[i]->snapshot.error)
			s->error = xstrdup(s->contents[i]->snapshot.error);
	}
	if (!s->error && job->error)
		s->error = xasprintf("cannot write to %s: %s", w->directory, strerror(-job->error));
	if (!s->error)
		s->index = weights_index_path(w->directory, job->hash);
	s->face.error = s->error;
	s->face.index = s->index;
	return &s->face;
}

static void on_worked(uv_work_t *request, int status)
{
	struct weights_job *job = request->data;
	struct weights *w = job->weights;
	struct weights_set *set;

	(void)status;
	w->dirty = true;
	if (atomic_load(&job->cancelled)) {
		job_free(job);
		return;
	}
	for (size_t i = 0; i < job->n; i++) {
		struct part *p = &job->parts[i];

		if (p->content)
			continue;
		p->look = p->snapshot.look;
		p->content = content_of(w, &p->snapshot);
		remember(w, p);
	}
	set = set_of(job);
	job->done(job->context, set);
	job_free(job);
}

struct weights_job *weights_read(struct weights *w, const struct weights_files *files, weights_done_fn done,
				 void *context)
{
	struct weights_job *job = xcalloc(1, sizeof(*job));

	*job = (struct weights_job){ .weights = w, .done = done, .context = context, .n = files->n,
				     .parts = xcalloc(files->n + 1, sizeof(*job->parts)) };
	job->work.data = job;
	w->n_jobs++;
	for (size_t i = 0; i < files->n; i++) {
		struct part *p = &job->parts[i];

		p->path = xstrdup(files->at[i].path);
		p->name = xstrdup(files->at[i].name);
		if (file_look(p->path, &p->look) < 0)
			memset(&p->look, 0, sizeof(p->look));
		p->content = known_content(w, &files->at[i]);
		if (p->content)
			p->content->users++;
	}
	uv_queue_work(w->loop, &job->work, work, on_worked);
	return job;
}

bool weights_job_is_current(const struct weights_job *job, const struct weights_files *files)
{
	if (job->n != files->n)
		return false;
	for (size_t i = 0; i < files->n; i++) {
		struct file_look look = { 0 };

		if (strcmp(job->parts[i].path, files->at[i].path) != 0)
			return false;
		if (file_look(files->at[i].path, &look) < 0)
			memset(&look, 0, sizeof(look));
		if (memcmp(&look, &job->parts[i].look, sizeof(look)) != 0)
			return false;
	}
	return true;
}

struct weights_job *weights_cancel(struct weights_job *job)
{
	if (job)
		atomic_store(&job->cancelled, true);
	return NULL;
}

/* Tidying */

static bool is_used(const struct weights *w, const char *name)
{
	const struct content *c;
	const struct set *s;

	LIST_FOREACH(c, &w->contents, entry)
		if (c->snapshot.path && strcmp(path_name(c->snapshot.path), name) == 0)
			return true;
	LIST_FOREACH(s, &w->sets, entry)
		if (s->index && strcmp(path_name(s->index), name) == 0)
			return true;
	return false;
}

/* A path may have been forgotten by its plugin: it alone keeps nothing. */
static void forget_unused(struct weights *w)
{
	struct known *k = LIST_FIRST(&w->known), *next;

	for (; k; k = next) {
		next = LIST_NEXT(k, entry);
		if (k->content->users == 1)
			forget(k);
	}
}

void weights_tidy(struct weights *w)
{
	struct dirent *e;
	DIR *d;

	if (!w->dirty || w->n_jobs)
		return;
	w->dirty = false;
	forget_unused(w);
	d = opendir(w->directory);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && !is_used(w, e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}
