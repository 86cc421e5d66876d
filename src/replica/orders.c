/* SPDX-License-Identifier: MIT */

/* What a worker is told, between its calls. Whether an answer was due is counted here, and seen in answers.c. */

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/child.h"
#include "replica/arena.h"
#include "replica/hub.h"
#include "replica/internal.h"

#define INTERRUPT_MS 200 /* to write down where it hangs */

static void order(struct replica *r, const struct message *m)
{
	if (r->gone || r->broken)
		return;
	if (ring_put(&r->to_worker, m) < 0) {
		replica_break_off(r); /* calls leave room for orders: the counters are wrong */
		return;
	}
	replica_flush(r);
}

static void on_grace_over(uv_timer_t *timer)
{
	struct replica *r = timer->data;

	r->killed = true;

	if (r->child)
		child_kill(r->child, SIGKILL);
}

void replica_start_grace(struct replica *r)
{
	uv_update_time(r->hub->loop);
	uv_timer_start(&r->grace, on_grace_over, r->grace_ms, 0);
}

void replica_stop(struct replica *r, unsigned grace_ms)
{
	if (r->gone || r->stopping)
		return;
	r->stopping = true;
	r->grace_ms = grace_ms;
	order(r, &(struct message){ .kind = LINK_STOP });
	if (!replica_in_flight(r))
		replica_start_grace(r);
}

void replica_interrupt(struct replica *r, const char *why)
{
	if (!r->child || r->interrupted)
		return;
	r->interrupted = why;
	child_kill(r->child, SIGCONT); /* it may have stopped itself */
	if (r->report.memcheck && !r->is_up) /* it would be the end of that program alone */
		child_kill(r->child, SIGKILL);
	else
		kill(r->pid, SIGXCPU);
	uv_update_time(r->hub->loop);
	uv_timer_start(&r->grace, on_grace_over, INTERRUPT_MS, 0);
}

void replica_kill(struct replica *r)
{
	r->killed = true;
	if (r->child)
		child_kill(r->child, SIGKILL);
}

struct replica *replica_abandon(struct replica *r)
{
	if (!r || r->gone)
		return NULL;
	r->child = child_abandon(r->child);
	replica_dismantle(r);
	return NULL;
}

static void set_path(char *ret, size_t size, const char *path)
{
	snprintf(ret, size, "%s", path ? path : "");
}

void replica_describe_load(struct link_load *load, const struct replica_image *image)
{
	set_path(load->image, sizeof(load->image), image->path);
	set_path(load->weights, sizeof(load->weights), image->weights);
	set_path(load->state, sizeof(load->state), image->state);
	set_path(load->device, sizeof(load->device), image->device);
	set_path(load->layout, sizeof(load->layout), image->layout);
	set_path(load->serving, sizeof(load->serving), image->serving);
	load->serving_generation = image->serving_generation;
	load->hash[0] = '\0';
	if (!hash_is_zero(image->hash))
		hash_text(image->hash, load->hash);
}

void replica_load(struct replica *r, const struct replica_image *image)
{
	r->n_loads++;
	replica_describe_load(&r->link->load, image);
	order(r, &(struct message){ .kind = LINK_LOAD, .extra = (image->trial ? LINK_TRIAL : 0) |
								(image->cuda ? LINK_CUDA : 0) });
}

void replica_warm(struct replica *r)
{
	order(r, &(struct message){ .kind = LINK_WARM });
}

void replica_prove(struct replica *r, int fd)
{
	r->n_proofs++;
	order(r, &(struct message){ .kind = LINK_PROVE, .extra = (uint64_t)fd });
}

void replica_measure(struct replica *r, int fd)
{
	r->n_measurements++;
	order(r, &(struct message){ .kind = LINK_MEASURE, .extra = (uint64_t)fd });
}

void replica_yield(struct replica *r)
{
	sched_setscheduler(r->pid, SCHED_IDLE, &(struct sched_param){ .sched_priority = 0 });
}

void replica_drop(struct replica *r)
{
	order(r, &(struct message){ .kind = LINK_DROP });
}

void replica_attach(struct replica *r, const struct arena *arena)
{
	snprintf(r->link->arena_path, sizeof(r->link->arena_path), "/proc/%d/fd/%d", (int)getpid(), arena->fd);
	order(r, &(struct message){ .kind = LINK_ATTACH });
}

void replica_swap(struct replica *r, uint32_t generation, const char *state)
{
	r->n_swaps++;
	if (!r->link->state_path[0])
		set_path(r->link->state_path, sizeof(r->link->state_path), state);
	order(r, &(struct message){ .kind = LINK_SWAP, .extra = generation, .size = r->is_private });
}

void replica_keep_private(struct replica *r)
{
	r->is_private = true;
}

void replica_set_idle(struct replica *r)
{
	placement_yield(r->pid);
}

void replica_set_name(struct replica *r, const char *name)
{
	snprintf(r->link->name, sizeof(r->link->name), "%s", name);
}

void replica_set_limits(struct replica *r, unsigned threads, unsigned checkpoint_ms)
{
	r->link->threads = threads;
	r->link->checkpoint_ms = checkpoint_ms;
}
