/* SPDX-License-Identifier: MIT */
#include "serve/acceptance.h"

#include "base/buffer.h"
#include "base/json.h"
#include "ingress/ingress.h"
#include "serve/plugin.h"
#include "serve/reply.h"
#include "serve/save.h"

int accept_refused(struct plugin *p, struct buffer *why)
{
	if (save_is_under_way(p))
		buffer_printf(why, "a newer save of %s is under way; wait until it has ended", p->name);
	else if (hash_is_zero(p->refused))
		buffer_printf(why, "no save of %s waits for that: the newest wasn't refused for its answers", p->name);
	else if (!plugin_accept(p))
		buffer_printf(why, "%s has changed since it was refused; what it is now is being tried", p->name);
	return why->size ? 1 : 0;
}

bool accept_is_possible(const struct plugin *p)
{
	return p->deployment && !hash_is_zero(p->refused);
}

static void agree(struct exchange *x, const char *name)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_string(&json, "deployment", name);
	json_object_end(&json);
	reply_json(x, 200, &json);
}

void accept_on_request(void *context, struct exchange *x)
{
	const struct plugins *ps = context;
	const char *name = exchange_query(x, "deployment");
	struct plugin *p = name ? plugins_find(ps, name) : NULL;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	if (!name)
		reply_refuse(x, 400, "which deployment? Ask for /-/accept?deployment=NAME");
	else if (!p || !p->deployment)
		reply_refuse(x, 404, "there is no deployment of that name");
	else if (accept_refused(p, &why) != 0)
		reply_refuse(x, 409, why.data);
	else
		agree(x, name);
}
