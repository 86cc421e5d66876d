/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Child
 *
 * A child process on a libuv loop. Started by posix_spawn(): uv_spawn() forks,
 * which stops the loop for 30 ms when a gigabyte is mapped. Its end is told by a
 * pidfd, so that nothing of ours depends on SIGCHLD. Each child leads a process
 * group of its own; child_kill() ends the whole group.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct child;

struct child_end {
	int code;   /* exit status, when signal is 0 */
	int signal; /* or the signal that ended it */
	uint64_t started_ns, ended_ns; /* monotonic */
	uint64_t cpu_ns;   /* user and system */
	uint64_t peak_bytes; /* largest resident size */
};

/*
 * Text from the child, as it comes; @size 0: the stream has ended. @fd is 1 or 2.
 */
typedef void (*child_text_fn)(void *context, int fd, const char *text, size_t size);
/* The child has ended and its streams are read. The struct child is gone afterwards. */
typedef void (*child_end_fn)(void *context, const struct child_end *end);

/* A memory_limit for programs of ours: the address sanitizer's shadow takes terabytes of addresses. */
#ifdef __SANITIZE_ADDRESS__
#define CHILD_OWN_MEMORY(bytes) 0
#else
#define CHILD_OWN_MEMORY(bytes) (bytes)
#endif

struct child_options {
	const char *const *argv;     /* argv[0] is looked up in PATH; NULL ends it */
	const char *const *env;      /* "NAME=value"; NULL: ours */
	const char *directory;       /* working directory; NULL: ours */
	int fds[8];                  /* become 3, 4, … in the child; -1 fills what is not used */
	int n_fds;
	int output_fd;               /* stdout goes to this descriptor; 0: to on_text */
	uint64_t memory_limit;       /* bytes of address space; 0: none */
	uint64_t cpu_limit_s;        /* seconds of CPU time; 0: none */
	uint64_t time_limit_ms;      /* killed after that; 0: never */
	bool idle;                   /* runs when nobody else wants to */
	bool leashed;                /* its group is killed when our process ends, however that is; takes a descriptor of it */
	child_text_fn on_text;       /* NULL: both streams go to /dev/null */
	child_end_fn on_end;
	void *context;
};

/* 0, or -errno (-ENOENT: no such program). The descriptors in @o stay the caller's. */
int child_start(uv_loop_t *loop, const struct child_options *o, struct child **ret);

/* Send @signal to its process group. on_end still comes. */
void child_kill(struct child *c, int signal);

/* SIGKILL the group and forget: no callback comes any more. NULL is fine. Returns NULL. */
struct child *child_abandon(struct child *c);

pid_t child_pid(const struct child *c);
/* Killed because time_limit_ms was over. */
bool child_timed_out(const struct child *c);
