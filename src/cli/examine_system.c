/* SPDX-License-Identifier: MIT */

/* What devserve itself stands on: its programs, the kernel, the directories. */

#include <fcntl.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>
#include <yaml.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "cli/client.h"
#include "cli/findings.h"
#include "serve/options.h"

#define FEW_WATCHES 8192
#define FEW_FILES 1024

void examine_programs(struct findings *f)
{
	static const char *const names[] = { "devserve-worker", "devserve-watch", "devserve-debug" };
	_cleanup_buffer_ struct buffer missing = BUFFER_NULL;
	_cleanup_free_ char *directory = path_of_program();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = path_of_helper(names[i]);

		if (!path || access(path, X_OK) < 0)
			buffer_printf(&missing, "%s%s", missing.size ? ", " : "", names[i]);
	}
	if (!missing.size)
		findings_add(f, "programs", FINDING_OK, xstrdup(directory), NULL);
	else
		findings_add(f, "programs", FINDING_MISSING,
			     xasprintf("not beside %s/devserve, nor in ../libexec/devserve: %s", directory, missing.data),
			     xstrdup("make install, which puts them there"));
}

/* The kernel */

static void examine_kernel(struct findings *f)
{
	struct utsname u;
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), memfd = memfd_create("devserve", MFD_ALLOW_SEALING);

	uname(&u);
	if (pidfd >= 0 && memfd >= 0)
		findings_add(f, "kernel", FINDING_OK, xasprintf("%s %s %s", u.sysname, u.release, u.machine), NULL);
	else
		findings_add(f, "kernel", FINDING_MISSING,
			     xasprintf("%s %s: %s isn't allowed here", u.sysname, u.release,
				       pidfd < 0 ? "pidfd_open()" : "memfd_create()"),
			     xstrdup("a kernel since 5.3, or a container whose seccomp profile lets it through"));
	if (pidfd >= 0)
		close(pidfd);
	if (memfd >= 0)
		close(memfd);
}

static void examine_own_libraries(struct findings *f)
{
	findings_add(f, "libraries", FINDING_OK,
		     xasprintf("glibc %s, libuv %s, libyaml %s, SQLite %s, zlib %s", gnu_get_libc_version(),
			       uv_version_string(), yaml_get_version_string(), sqlite3_libversion(), zlibVersion()),
		     NULL);
}

static uint64_t read_number(const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	return file_read(path, &text) == 0 ? strtoull(buffer_text(&text), NULL, 10) : 0;
}

static char *sysctl_command(const char *name, unsigned value)
{
	return xasprintf("%ssysctl -w fs.inotify.%s=%u", getuid() == 0 ? "" : "sudo ", name, value);
}

/* File systems whose other machines' changes come without events. */
static bool is_remote(const char *root)
{
	static const unsigned long types[] = { 0x6969 /* NFS */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB 2 */,
					       0x01021997 /* 9p */, 0x65735546 /* FUSE */, 0x786f4256 /* vboxsf */ };
	struct statfs s;

	if (statfs(root, &s) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (((unsigned long)s.f_type & 0xffffffff) == types[i])
			return true;
	return false;
}

static void examine_inotify(struct findings *f, const char *root)
{
	uint64_t watches = read_number("/proc/sys/fs/inotify/max_user_watches");
	uint64_t instances = read_number("/proc/sys/fs/inotify/max_user_instances");
	int fd = inotify_init1(IN_CLOEXEC);
	int wd = fd < 0 ? -1 : inotify_add_watch(fd, file_is_directory(root) ? root : "/", IN_CLOSE_WRITE);

	if (fd < 0)
		findings_add(f, "inotify", FINDING_NOTE,
			     xasprintf("all %" PRIu64 " instances are in use: changes are found by reading, every 200 ms",
				       instances),
			     sysctl_command("max_user_instances", 1024));
	else if (wd < 0 || watches < FEW_WATCHES)
		findings_add(f, "inotify", FINDING_NOTE,
			     xasprintf("%s%" PRIu64 " watches, one for each directory", wd < 0 ? "in use are all " : "only ",
				       watches),
			     sysctl_command("max_user_watches", 524288));
	else if (is_remote(root))
		findings_add(f, "inotify", FINDING_NOTE,
			     xasprintf("%s may change elsewhere without an event", root), xstrdup("devserve --poll"));
	else
		findings_add(f, "inotify", FINDING_OK,
			     xasprintf("%" PRIu64 " watches, %" PRIu64 " instances", watches, instances), NULL);
	if (fd >= 0)
		close(fd);
}

/* "always [madvise] never": what is chosen; free(). NULL: there is no such thing. */
static char *chosen(const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *at = file_read(path, &text) == 0 ? strchr(buffer_text(&text), '[') : NULL;

	return at ? xstrndup(at + 1, strcspn(at + 1, "]")) : NULL;
}

static void examine_pages(struct findings *f)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	_cleanup_free_ char *mode = chosen(path);

	if (mode && strcmp(mode, "never") != 0)
		findings_add(f, "huge pages", FINDING_OK, xasprintf("transparent: %s", mode), NULL);
	else
		findings_add(f, "huge pages", FINDING_NOTE,
			     xstrdup("none: checkpoints of states of many megabytes take longer"),
			     mode ? xasprintf(getuid() == 0 ? "echo madvise >%s" : "echo madvise | sudo tee %s", path)
				  : NULL);
}

static void examine_files(struct findings *f)
{
	struct rlimit limit = { 0, 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max > FEW_FILES)
		findings_add(f, "open files", FINDING_OK, xasprintf("up to %llu", (unsigned long long)limit.rlim_max), NULL);
	else
		findings_add(f, "open files", FINDING_NOTE,
			     xasprintf("up to %llu: as many connections and deployments",
				       (unsigned long long)limit.rlim_max),
			     xstrdup("ulimit -Hn 65536 (as root, or in limits.conf)"));
}

/* The directories */

static char *nearest_that_exists(const char *path)
{
	char *at = xstrdup(path), *slash;

	while (!file_exists(at) && (slash = strrchr(at, '/')) && slash != at)
		*slash = '\0';
	return at;
}

static void examine_state(struct findings *f, const char *state_dir)
{
	_cleanup_free_ char *place = nearest_that_exists(state_dir);
	struct statvfs s = { .f_flag = 0 };

	statvfs(place, &s);
	if (access(place, W_OK) < 0)
		findings_add(f, "state", FINDING_MISSING, xasprintf("%s can't be written", state_dir),
			     xstrdup("devserve --state-dir DIR"));
	else if (s.f_flag & ST_NOEXEC)
		findings_add(f, "state", FINDING_MISSING,
			     xasprintf("%s is mounted noexec: no image can be loaded from there", state_dir),
			     xstrdup("devserve --state-dir DIR"));
	else
		findings_add(f, "state", FINDING_OK,
			     xasprintf("%s, %llu MB free", state_dir,
				       (unsigned long long)s.f_bavail * s.f_frsize / 1000000),
			     NULL);
}

static void examine_root(struct findings *f, const char *root)
{
	if (file_is_directory(root) && access(root, W_OK) < 0)
		findings_add(f, "root", FINDING_NOTE,
			     xasprintf("%s can't be written (%s): 'devserve record' and 'new' fail there", root,
				       strerror(errno)),
			     xstrdup("make it writable; 'devserve record NAME --out DIR' writes elsewhere"));
	else if (file_is_directory(root))
		findings_add(f, "root", FINDING_OK, xstrdup(root), NULL);
	else
		findings_add(f, "root", FINDING_NOTE, xasprintf("there is no directory %s yet", root),
			     xasprintf("devserve new NAME --root %s", root));
}

static void examine_server(struct findings *f, const char *root, const char *state_dir)
{
	const struct client_options o = { .root = root, .state_dir = state_dir };
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_client_ struct client c = CLIENT_NULL;

	if (client_find(&o, &c, &why) == 0 && process_is_alive(c.pid))
		findings_add(f, "server", FINDING_OK, xasprintf("runs: %s, pid %d", c.url, c.pid), NULL);
	else
		findings_add(f, "server", FINDING_OK, xstrdup("none runs"), NULL);
}

void examine_system(struct findings *f, const char *root, const char *state_dir)
{
	_cleanup_free_ char *state = state_directory(root, state_dir);

	examine_kernel(f);
	examine_own_libraries(f);
	examine_inotify(f, root);
	examine_pages(f);
	examine_files(f);
	examine_root(f, root);
	examine_state(f, state);
	examine_server(f, root, state_dir);
}
