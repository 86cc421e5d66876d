/* SPDX-License-Identifier: MIT */
#include "serve/plugin_weights.h"

#include "base/clock.h"
#include "serve/plugin.h"
#include "serve/save.h"
#include "weights/files.h"
#include "weights/weights.h"

static void on_read(void *context, struct weights_set *set)
{
	struct plugin *p = context;
	struct plugin_weights *w = &p->weights;

	w->job = NULL;
	weights_set_unref(w->newest);
	w->newest = set;
	w->read_ns = clock_ns() - w->started_ns;
	plugin_checked(p, w->since_ns, w->quiet);
	if (!save_is_under_way(p))
		p->plugins->settled(p->plugins->context, p); /* who waited for the reading alone */
}

static void read_them(struct plugin *p, const struct weights_files *files, uint64_t since_ns,
		      bool quiet)
{
	struct plugin_weights *w = &p->weights;

	if (!w->job) {
		w->since_ns = since_ns;
		w->quiet = true;
	}
	w->quiet &= quiet;
	if (w->job && weights_job_is_current(w->job, files))
		return;
	weights_cancel(w->job);
	w->started_ns = clock_ns();
	w->job = weights_read(p->plugins->weights, files, on_read, p);
}

bool plugin_weights_look(struct plugin *p, char *const *paths, uint64_t since_ns, bool quiet)
{
	struct plugin_weights *w = &p->weights;
	struct weights_files files;
	struct weights_set *known;

	weights_files_find(p->path, paths, &files);
	known = weights_known(p->plugins->weights, &files);
	if (known) {
		w->job = weights_cancel(w->job);
		weights_set_unref(w->newest);
		w->newest = known;
	} else {
		read_them(p, &files, since_ns, quiet);
	}
	weights_files_fini(&files);
	return known != NULL;
}

struct hash plugin_weights_mix(const struct weights_set *set, struct hash source)
{
	const struct hash none = { 0 };
	struct hash both[2] = { source, set ? set->hash : none };

	return hash_equal(both[1], none) ? source : hash_bytes(both, sizeof(both));
}

void plugin_weights_serve(struct plugin *p, struct weights_set *set)
{
	struct plugin_weights *w = &p->weights;

	weights_set_unref(w->previous);
	w->previous = w->serving;
	w->serving = weights_set_ref(set);
}

void plugin_weights_fini(struct plugin *p)
{
	struct plugin_weights *w = &p->weights;

	weights_cancel(w->job);
	weights_set_unref(w->newest);
	weights_set_unref(w->serving);
	weights_set_unref(w->previous);
	*w = (struct plugin_weights){ .newest = NULL };
}
