/* SPDX-License-Identifier: MIT */
#include "serve/plugin_name.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "serve/plugin.h"

static char *name_of_path(const char *path)
{
	const char *name = path_name(path), *suffix = path_suffix(path);

	return file_is_directory(path) ? xstrdup(name) : xstrndup(name, (size_t)(suffix - name));
}

static char *name_of(const char *path, const struct config *c)
{
	return c->name ? xstrdup(c->name) : name_of_path(path);
}

char *plugin_clash(const struct plugin *there, const char *path, const char *name)
{
	return xasprintf("%s and %s both are deployment \"%s\"; the first one serves: rename the other",
			 there ? there->path : "another source", path, name);
}

bool plugin_keeps_name(struct plugin *p)
{
	_cleanup_free_ char *name = name_of(p->path, &p->config.config), *why = NULL;
	const struct plugin *there = plugins_find(p->plugins, name);

	if (strcmp(name, p->name) == 0 || (p->deployment && p->config.mistake))
		return true;
	if (!p->deployment || !there)
		return false;
	why = plugin_clash(there, p->path, name);
	plugin_config_refuse_name(&p->config, why);
	return true;
}

char *plugin_first_name(const struct plugins *ps, const char *path, struct plugin_config *c)
{
	char *name = name_of(path, &c->config), *fallback = name_of_path(path);
	const struct plugin *there = plugins_find(ps, name);
	_cleanup_free_ char *why = NULL;

	if (!there || !config_name_is_good(fallback) || plugins_find(ps, fallback)) {
		free(fallback);
		return name;
	}
	why = plugin_clash(there, path, name);
	plugin_config_refuse_name(c, why);
	free(name);
	return fallback;
}
