/* SPDX-License-Identifier: MIT */
#include "worker/control.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "worker/crash.h"
#include "worker/gpu.h"
#include "worker/graphs.h"
#include "worker/threads.h"

#define MAX_ORDERS 8

struct order {
	enum control_order order;
	struct link_load load;
	unsigned flags;
	struct image image; /* to close; of LOAD: what serves */
};

struct control {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct order orders[MAX_ORDERS];
	unsigned first, n_orders; /* the first stays in the list while it is carried out */
	struct control_result results[MAX_ORDERS];
	unsigned n_results;
	atomic_bool ready;
	void (*on_done)(void *context);
	void *context;
};

static void carry_out(struct order *o, struct control_result *result)
{
	*result = (struct control_result){ .order = o->order };
	graphs_hold();
	if (o->order == CONTROL_LOAD)
		result->error = image_open(&result->image, &o->load, o->flags, &o->image, result->sentence,
					   sizeof(result->sentence));
	else if (o->order == CONTROL_WARM)
		gpu_warm();
	else
		result->unloaded = image_close(&o->image);
	graphs_let_go();
}

static void *run(void *context)
{
	struct control *c = context;
	static struct control_result result; /* too large for a small stack; this thread's alone */

	crash_enter_thread(CRASH_CONTROL);
	threads_pin("create() or destroy()");
	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->n_orders)
			pthread_cond_wait(&c->changed, &c->lock);
		pthread_mutex_unlock(&c->lock);
		carry_out(&c->orders[c->first], &result);
		pthread_mutex_lock(&c->lock);
		c->first = (c->first + 1) % MAX_ORDERS;
		c->n_orders--;
		assert(c->n_results < MAX_ORDERS);
		c->results[c->n_results++] = result;
		atomic_store(&c->ready, true);
		pthread_cond_broadcast(&c->changed);
		c->on_done(c->context);
	}
	return NULL;
}

struct control *control_new(void (*on_done)(void *context), void *context)
{
	struct control *c = xcalloc(1, sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	c->on_done = on_done;
	c->context = context;
	return pthread_create(&c->thread, NULL, run, c) == 0 ? c : NULL;
}

static struct order *next_order(struct control *c, enum control_order order)
{
	struct order *o = &c->orders[(c->first + c->n_orders) % MAX_ORDERS];

	assert(c->n_orders < MAX_ORDERS);
	o->order = order;
	c->n_orders++;
	pthread_cond_broadcast(&c->changed);
	return o;
}

void control_load(struct control *c, const struct link_load *load, unsigned flags, const struct image *serving)
{
	struct order *o;

	pthread_mutex_lock(&c->lock);
	o = next_order(c, CONTROL_LOAD);
	o->load = *load;
	o->flags = flags;
	o->image = serving ? *serving : (struct image){ .dl = NULL };
	pthread_mutex_unlock(&c->lock);
}

void control_close(struct control *c, const struct image *image)
{
	pthread_mutex_lock(&c->lock);
	next_order(c, CONTROL_CLOSE)->image = *image;
	pthread_mutex_unlock(&c->lock);
}

void control_drop(struct control *c, const struct image *image)
{
	pthread_mutex_lock(&c->lock);
	next_order(c, CONTROL_DROP)->image = *image;
	pthread_mutex_unlock(&c->lock);
}

void control_warm(struct control *c)
{
	pthread_mutex_lock(&c->lock);
	next_order(c, CONTROL_WARM);
	pthread_mutex_unlock(&c->lock);
}

bool control_take(struct control *c, struct control_result *ret)
{
	bool any;

	if (!control_ready(c))
		return false;
	pthread_mutex_lock(&c->lock);
	any = c->n_results > 0;
	if (any) {
		*ret = c->results[0];
		c->n_results--;
		for (unsigned i = 0; i < c->n_results; i++)
			c->results[i] = c->results[i + 1];
	}
	atomic_store(&c->ready, c->n_results > 0);
	pthread_mutex_unlock(&c->lock);
	return any;
}

bool control_ready(struct control *c)
{
	return atomic_load(&c->ready);
}

void control_drain(struct control *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->n_orders)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
}
