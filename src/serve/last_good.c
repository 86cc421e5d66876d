/* SPDX-License-Identifier: MIT */
#include "serve/last_good.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "image/inspect.h"
#include "serve/plugin.h"
#include "serve/record.h"
#include "weights/weights.h"

static bool is_wanted(const struct plugin *p, const struct record *r)
{
	return p->plugins->keep_records && !p->generation && r->generation && !hash_is_zero(r->image);
}

bool last_good_roll(const struct plugin *p, const struct weights_set *weights,
		    const struct deployment_settings *settings, rollout_done_fn done, void *context)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct image_info info = { .signature = NULL };
	_cleanup_free_ char *image = NULL, *device = NULL;
	struct record record;
	bool is_good;

	record_read(p->plugins->state_dir, p->name, &record);
	if (!is_wanted(p, &record) || weights->error)
		return false;
	image = builder_image(p->plugins->builder, record.image);
	if (!hash_is_zero(record.device))
		device = builder_device(p->plugins->builder, record.device);
	is_good = image && (device || hash_is_zero(record.device)) && image_inspect(image, &info, &why) == 0;
	if (is_good)
		deployment_roll(p->deployment,
				&(struct rollout){ .image = image,
						   .weights = weights->index,
						   .device = device,
						   .image_hash = record.image,
						   .settings = *settings,
						   .signature = info.signature,
						   .generation = record.generation },
				done, context);
	image_info_fini(&info);
	return is_good;
}

void last_good_serves(struct plugin *p)
{
	struct record record;

	record_read(p->plugins->state_dir, p->name, &record);
	p->generation = record.generation;
	p->code.source = record.source;
	p->code.image = record.image;
	p->code.device = record.device;
	plugin_keep(p);
}
