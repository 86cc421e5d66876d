/* SPDX-License-Identifier: MIT */

/*
 * The plugin is looked for by name once more when the history has answered: it may have gone
 * meanwhile. Weights are not kept by the history, for they may be gigabytes: a generation can serve
 * again as long as the server still has what it served with.
 */

#include "serve/generation.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "deploy/handle.h"
#include "history/history.h"
#include "image/inspect.h"
#include "infer/signature.h"
#include "serve/plugin.h"
#include "weights/files.h"
#include "weights/weights.h"

struct generation_search {
	struct plugins *plugins;
	char *name;
	uint32_t number;
	struct history_request *request;
	generation_found_fn done;
	void *context;
};

static void search_free(struct generation_search *s)
{
	free(s->name);
	free(s);
}

static void refuse(struct generation_search *s, const char *error)
{
	generation_found_fn done = s->done;
	void *context = s->context;

	search_free(s);
	done(context, NULL, error);
}

/* A reference; NULL: the server doesn't have them any more. */
static struct weights_set *weights_of(const struct plugin *p, struct hash hash)
{
	struct weights_set *const sets[] = { p->weights.serving, p->weights.previous, p->weights.newest };
	const struct weights_files none = WEIGHTS_FILES_NULL;

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (sets[i] && hash_equal(sets[i]->hash, hash))
			return weights_set_ref(sets[i]);
	return hash_is_zero(hash) ? weights_known(p->plugins->weights, &none) : NULL;
}

static void settings_of(const struct plugin *p, struct deployment_settings *ret)
{
	struct deployment_stats stats;

	deployment_get_stats(p->deployment, &stats);
	if (p->config.mistake)
		*ret = stats.settings;
	else
		plugin_config_settings(&p->config.config, p->plugins->gate, ret);
}

static void hand_over(struct generation_search *s, struct plugin *p, const struct history_answer *a,
		      const struct image_info *info, struct weights_set *weights)
{
	struct generation g = { .plugin = p, .weights = weights };
	generation_found_fn done = s->done;
	void *context = s->context;

	g.code = (struct plugin_code){ .source = a->source, .libraries = a->libraries, .image = a->image,
				       .device = a->device, .identity = info->identity };
	g.rollout = (struct rollout){ .image = a->image_path, .weights = weights->index, .device = a->device_path,
				      .image_hash = a->image, .signature = info->signature,
				      .fresh = !hash_equal(p->code.libraries, a->libraries), .generation = a->generation };
	settings_of(p, &g.rollout.settings);
	search_free(s);
	done(context, &g, NULL);
}

static void on_image(struct generation_search *s, struct plugin *p, const struct history_answer *a)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct image_info info = { .signature = NULL };
	struct weights_set *weights = weights_of(p, a->weights);

	if (!weights)
		buffer_printf(&why, "generation %" PRIu32 " served with other weights, and weights aren't kept for longer "
			      "than one generation", a->generation);
	else if (image_inspect(a->image_path, &info, &why) < 0 && !why.size)
		buffer_puts(&why, "its image can't be read");
	if (why.size)
		refuse(s, why.data);
	else
		hand_over(s, p, a, &info, weights);
	image_info_fini(&info);
	weights_set_unref(weights);
}

static void on_answer(void *context, const struct history_answer *a)
{
	struct generation_search *s = context;
	struct plugin *p = plugins_find(s->plugins, s->name);
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	s->request = NULL;
	if (!p)
		buffer_puts(&why, "the deployment was removed");
	else if (a->error)
		buffer_puts(&why, a->error);
	else if (!a->generation && s->number)
		buffer_printf(&why, "there is no generation %" PRIu32 " of %s; 'devserve history %s' lists them", s->number,
			      s->name, s->name);
	else if (!a->generation)
		buffer_printf(&why, "there is no generation of %s before the one that serves", s->name);
	else if (hash_is_zero(a->image))
		buffer_printf(&why, "generation %" PRIu32 " was under a sanitizer, and its image is for no other worker; "
			      "'devserve asan %s' builds another", a->generation, s->name);
	else if (!a->image_path)
		buffer_printf(&why, "the image of generation %" PRIu32 " isn't kept any more; 'devserve pin' would have kept "
			      "it", a->generation);
	if (why.size)
		refuse(s, why.data);
	else
		on_image(s, p, a);
}

struct generation_search *generation_find(struct plugins *ps, const char *name, uint32_t number,
					  generation_found_fn done, void *context)
{
	struct generation_search *s = xcalloc(1, sizeof(*s));
	const struct plugin *p = plugins_find(ps, name);

	*s = (struct generation_search){ .plugins = ps, .name = xstrdup(name), .number = number, .done = done,
					 .context = context };
	s->request = history_find(ps->history, name, number, p ? p->generation : 0, on_answer, s);
	return s;
}

struct generation_search *generation_cancel(struct generation_search *s)
{
	if (!s)
		return NULL;
	history_cancel(s->request);
	search_free(s);
	return NULL;
}
